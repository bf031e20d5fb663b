"""Layers in stripes: the reference kernels' integers, from less memory."""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.program import Program
from quantize.tflite_reader import read_model
from tests.conformance import FAMILIES, compare, reference, run_sanitized
from tests.random_graphs import Graph
from tests.tflite_maker import VALID

CHAINS = 60


class Chain(Graph):
    """A convolution with any window, then layers whose windows lie side by side along one axis."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.default_rng(seed))
        self.rows = seed % 2 == 0  # stripes are rows, else columns
        along, across = self.integer(30, 80), self.integer(2, 6)
        sides = (along, across) if self.rows else (across, along)
        self.maker.graph.tensors[self.at].shape = [1, *sides, self.integer(1, 6)]
        self.shape = (1, *sides, self.maker.graph.tensors[self.at].shape[3])
        self.first = True

    def window(self) -> tuple[int, int, int, int, int, int, int]:
        if self.first:
            self.first = False
            kh, kw, _, _, padding, dh, dw = super().window()
            return kh, kw, 1, 1, padding, dh, dw
        height, width = self.shape[1:3]
        beside = self.integer(1, min(3, height if self.rows else width))
        if self.rows:
            across = self.integer(1, min(3, width))
            return beside, across, beside, self.integer(1, 2), VALID, 1, 1
        return height, beside, 1, beside, VALID, 1, 1


def chain(seed: int) -> bytes:
    graph = Chain(seed)
    graph.convolution(False)
    for _ in range(graph.integer(1, 3)):
        if graph.rng.random() < 0.5:
            graph.convolution(True)
        else:
            graph.pool()
    graph.dense()
    return graph.maker.finish(graph.at)


def chains() -> Mapping[str, bytes]:
    return {f"chain_{seed}": chain(seed) for seed in range(CHAINS)}


def fitted(tflite: bytes, target: str) -> Program:
    return find_target(target).family.fit(lower(read_model(tflite)))


@pytest.mark.parametrize("target", FAMILIES)
def test_integers(target: str, tmp_path: Path) -> None:
    striped = [any(step.stripe for step in fitted(tflite, target).steps) for tflite in chains().values()]
    assert sum(striped) > CHAINS // 2
    compare(chains(), target, tmp_path)


@pytest.mark.parametrize("target", FAMILIES)
def test_no_byte_beside(target: str, tmp_path: Path) -> None:
    run_sanitized(chains(), target, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", range(4))
def test_emulated(seed: int, tmp_path: Path) -> None:
    tflite = chain(seed)
    report = emit(tflite, "net", tmp_path / "net", "cortex-m4")
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(tmp_path / "net", "net", inputs).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs), keep=False))


def test_eegnet_in_a_quarter_of_its_arena(anchors: Path) -> None:
    program = fitted((anchors / "eegnet.tflite").read_bytes(), "cortex-m4")
    # The first layer's output is 8 rows of 256 columns of 8 channels; an eighth of it remains.
    sizes = {buffer.name: buffer.size for buffer in arena_buffers(program)}
    assert sizes["output of layer 1"] == 8 * 256 * 8 // 8
    assert plan(arena_buffers(program)).size < 18_600 // 4
    # Each multiplication is counted once, as published with the model.
    assert sum(step.macs for step in program.steps) == 1_114_624
