"""Kernels for Helium (Cortex-M55): their plain C on the host, their own instructions in the emulator."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from tests.conformance import compare, reference, run_sanitized
from tests.random_graphs import random_graph, random_lstm
from tests.random_networks import random_network

TARGET, BOARD = "cortex-m55", "mps3-an547"
emulated = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


def test_random_graphs(tmp_path: Path) -> None:
    compare({f"graph_{seed}": random_graph(seed) for seed in range(200)}, TARGET, tmp_path)


def test_random_networks(tmp_path: Path) -> None:
    compare({f"network_{seed}": random_network(seed) for seed in range(60)}, TARGET, tmp_path)


def test_random_lstms(tmp_path: Path) -> None:
    """States are kept from one input to the next on both sides."""
    compare({f"lstm_{seed}": random_lstm(seed) for seed in range(60)}, TARGET, tmp_path)


def test_sanitizers(tmp_path: Path) -> None:
    """No undefined behaviour and no access outside any array."""
    graphs = {f"graph_{seed}": random_graph(seed) for seed in range(200, 300)}
    run_sanitized(graphs | {f"lstm_{seed}": random_lstm(seed) for seed in range(10)}, TARGET, tmp_path)


def compare_emulated(tflite: bytes, seed: int, folder: Path) -> None:
    report = emit(tflite, "net", folder / "net", TARGET)
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(folder / "net", "net", inputs, BOARD).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs), keep=False)), [
        o.kernel for o in report.layers
    ]


@emulated
@pytest.mark.parametrize("seed", range(12))
def test_emulated_random_graphs(seed: int, tmp_path: Path) -> None:
    compare_emulated(random_graph(seed), seed, tmp_path)
