"""Helium's depthwise layers: rectangles of windows, and planes of input in which their taps lie together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quantize.c99.overlap import lead_of_parts

LANES = 16  # int8 in a vector
COLUMNS = 4  # windows that are multiplied at once
_WINDOWS = 128  # of a rectangle, at the most
_MAX_BYTES = 4096  # of planes, as far as a rectangle of four windows does not need more
_MAX_PLANE = 8191  # bytes
_FEW_GROUPS = 2  # whose loop is unrolled
_MAX_GROUPS = 16


def groups_of(taps: int) -> int:
    """Return how many vectors hold so many taps."""
    return -(-taps // LANES)


@dataclass(frozen=True)
class Planes:
    """So many rows and columns of windows; steps from one row and column of input to the next in a plane."""

    rows: int
    columns: int
    step_y: int
    step_x: int
    plane: int  # bytes of each channel
    groups: int  # vectors that a window's taps span

    def instructions(self, window: Mapping[str, int], channels: int, units: int) -> float:
        """Estimate what an image takes."""
        blocks = -(-self.rows * self.columns // COLUMNS)
        copying = self.plane * (4 * -(-channels // 8) + 6)
        block = 25 + 8 * (self.groups - 1) if self.groups <= _FEW_GROUPS else 31 + 10 * self.groups
        multiplying = units * (15 + blocks * block)
        rectangles = -(-window["out_h"] // self.rows) * -(-window["out_w"] // self.columns)
        return rectangles * (copying + multiplying + 60)

    def scratch(self, channels: int) -> int:
        """Return the bytes of windows' places, of planes, and of what is read beyond them."""
        blocks = -(-self.rows * self.columns // COLUMNS)
        return blocks * 8 * COLUMNS + channels * self.plane + self.groups * LANES


def reached(window: Mapping[str, int], rows: int, columns: int) -> tuple[int, int]:
    """Return rows and columns of input that so many windows span."""
    height, width = (
        (count - 1) * window[f"stride_{a}"] + (window[f"kernel_{a}"] - 1) * window[f"dilation_{a}"] + 1
        for count, a in ((rows, "h"), (columns, "w"))
    )
    return height, width


def _possible(window: Mapping[str, int], channels: int) -> Iterator[Planes]:
    """Yield planes by rows and by columns."""
    reach_y, reach_x = (n - 1 for n in reached(window, 1, 1))
    for rows in range(1, min(window["out_h"], _WINDOWS) + 1):
        for columns in range(1, min(window["out_w"], _WINDOWS // rows) + 1):
            height, width = reached(window, rows, columns)
            plane = height * width
            if plane > _MAX_PLANE or (plane * channels > _MAX_BYTES and rows * columns > COLUMNS):
                continue
            for step_y, step_x in ((width, 1), (1, height)):
                groups = groups_of(reach_y * step_y + reach_x * step_x + 1)
                if groups <= _MAX_GROUPS:
                    yield Planes(rows, columns, step_y, step_x, plane, groups)


def choose_planes(window: Mapping[str, int], channels: int, units: int) -> Planes | None:
    """Return the planes that take the fewest instructions, None if there are none for four windows."""
    fewest = min(
        _possible(window, channels),
        key=lambda p: p.instructions(window, channels, units),
        default=None,
    )
    if fewest is None or fewest.rows * fewest.columns < min(COLUMNS, window["out_h"] * window["out_w"]):
        return None
    return fewest


def planes_lead(window: Mapping[str, int], planes: Planes, in_c: int, out_c: int) -> int:
    """Return the lead of a kernel that fills the planes of a rectangle, then writes its outputs."""
    parts = []
    for batch in range(window["batches"]):
        for y in range(0, window["out_h"], planes.rows):
            row = batch * window["in_h"] + max(y * window["stride_h"] - window["pad_top"], 0)
            last_row = batch * window["out_h"] + min(y + planes.rows, window["out_h"]) - 1
            for x in range(0, window["out_w"], planes.columns):
                column = max(x * window["stride_w"] - window["pad_left"], 0)
                end = last_row * window["out_w"] + min(x + planes.columns, window["out_w"])
                parts.append(((row * window["in_w"] + column) * in_c, end * out_c))
    return lead_of_parts(parts)


def smaller_planes(parameters: Mapping[str, Any], window: Mapping[str, int]) -> tuple[dict[str, Any], int]:
    """Return the parameters and scratch of an `mve_depthwise` step for a window with fewer outputs.

    Weights stay as they are: the steps in a plane are the same.
    """
    rows, columns = min(parameters["rows"], window["out_h"]), min(parameters["columns"], window["out_w"])
    height, width = reached(window, rows, columns)
    step_y, step_x = parameters["step_y"], parameters["step_x"]
    plane = (height - 1) * step_y + (width - 1) * step_x + 1
    planes = Planes(rows, columns, step_y, step_x, plane, parameters["groups"])
    changed = {"window": dict(window), "rows": rows, "columns": columns, "plane": plane}
    return {**parameters, **changed}, planes.scratch(parameters["in_c"])
