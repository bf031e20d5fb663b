"""PADs that become the borders of convolutions, and those that cannot."""

from pathlib import Path

import numpy as np
import pytest

from quantize.c99.arena import Buffer, plan
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.tflite_reader import read_model
from tests.conformance import compare, run_sanitized
from tests.random_graphs import Graph
from tests.tflite_maker import VALID

TARGET = "cortex-m4"


class _Padded(Graph):
    value: int | None = None  # in place of zero
    channels = 0  # before the others
    times = 1  # that the PAD is read
    pointwise = 0  # 1: convolutions of one tap, and PADs of rows only

    def window(self) -> tuple[int, int, int, int, int, int, int]:
        if self.pointwise:
            return 1, 1, 1, 1, VALID, 1, 1
        height, width = self.shape[1:3]
        kernel = self.integer(1, min(height, 4)), self.integer(1, min(width, 5))
        dilation = [1 if n == 1 else self.integer(1, min(3, (size - 1) // (n - 1)))
                    for n, size in zip(kernel, (height, width), strict=True)]  # fmt: skip
        stride = [1, 1] if max(dilation) > 1 else [self.integer(1, 3), self.integer(1, 2)]
        return *kernel, stride[0], stride[1], VALID, dilation[0], dilation[1]

    def pad(self) -> None:
        sizes = np.zeros((4, 2), np.int32)
        sizes[1:3] = self.rng.integers(0, 9, (2, 2))
        sizes[2] *= 1 - self.pointwise
        sizes[3, 0] = self.channels
        before, constant = self.at, self.maker.constant(sizes)
        shape = tuple(n + int(both) for n, both in zip(self.shape, sizes.sum(axis=1), strict=True))
        inputs, name = [before, constant], "PAD"
        if self.value is not None:
            value = self.maker.constant(np.array([self.value], np.int8), self.scale, zero_point=self.zero)
            inputs, name = [*inputs, value], "PADV2"
        self.maker.operator(name, inputs, self.output(shape, self.scale, self.zero))


def padded(seed: int, **settings: int) -> bytes:
    """A PAD, a convolution of any sort, and both again."""
    graph = _Padded(np.random.default_rng(seed))
    for name, value in settings.items():
        setattr(graph, name, value)
    for _ in range(2):
        graph.pad()
        before = graph.at, graph.shape, graph.scale, graph.zero
        for _ in range(graph.times):
            graph.at, graph.shape, graph.scale, graph.zero = before
            graph.convolution(bool(graph.rng.random() < 0.5))
    return graph.maker.finish(graph.at)


def kernels(tflite: bytes) -> list[str]:
    program = find_target(TARGET).family.fit(lower(read_model(tflite)))
    return [step.kernel for step in program.steps]


def test_reference(tmp_path: Path) -> None:
    files = {f"padded_{seed}": padded(seed) for seed in range(120)}
    compare(files, TARGET, tmp_path)
    assert not any("pad" in kernels(tflite) for tflite in files.values())


def test_rows_before_one_tap(tmp_path: Path) -> None:
    """What has as many columns as its input, but more rows, is not one row of pixels."""
    files = {f"rows_{seed}": padded(seed, pointwise=1) for seed in range(20)}
    compare(files, TARGET, tmp_path)
    assert not any("pad" in kernels(tflite) for tflite in files.values())


def test_sanitizers(tmp_path: Path) -> None:
    run_sanitized({f"padded_{seed}": padded(seed) for seed in range(200, 225)}, TARGET, tmp_path)


@pytest.mark.parametrize("settings", [{"value": 77}, {"channels": 1}, {"times": 2}])
def test_kept(settings: dict[str, int], tmp_path: Path) -> None:
    """Another value than zero, further channels, two readers."""
    files = {f"kept_{seed}": padded(seed, **settings) for seed in range(20)}
    compare(files, TARGET, tmp_path)
    assert all("pad" in kernels(tflite) for tflite in files.values())


def test_a_better_order_of_placing() -> None:
    """The second buffer has to be placed before those that are larger or come later."""
    buffers = [
        Buffer("first", 6400, 0, 1),
        Buffer("second", 6400, 1, 3, {"first": 96}),
        Buffer("scratch", 1056, 1, 1),
        Buffer("beside", 6400, 2, 3),
        Buffer("sum", 6400, 3, 4, {"second": 0, "beside": 0}),
    ]
    assert plan(buffers).size == plan(buffers).bound == 12800
