"""Writes `features_sine.c`, the one table of the spectrum: `python -m edge.core.sine_table`."""

import math
from pathlib import Path

QUARTER = 1024
BITS = 30
TARGET = Path(__file__).with_name("features_sine.c")


def table() -> list[int]:
    """Return sin(i / 1024 * pi / 2) for i = 0..1024 in Q30, rounded to nearest."""
    return [round(math.sin(math.pi / 2 * i / QUARTER) * 2**BITS) for i in range(QUARTER + 1)]


def source() -> str:
    """Return the C file."""
    values = [str(value) for value in table()]
    rows = [", ".join(values[i : i + 8]) for i in range(0, len(values), 8)]
    return (
        "/* Written by sine_table.py; do not edit. */\n"
        '#include "features_spectrum.h"\n\n'
        f"const int32_t nrv_sine[{QUARTER + 1}] = {{\n    " + ",\n    ".join(rows) + ",\n};\n"
    )


if __name__ == "__main__":
    TARGET.write_text(source())
