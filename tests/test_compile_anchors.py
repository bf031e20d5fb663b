"""Generated C gives the anchor models' stored reference outputs, natively and on emulated Cortex-M4."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.engines.native import NativeEngine
from edge.firmware.bench.emulator import BOARDS, available, run_windows
from quantize.c99 import build_shared, emit
from quantize.c99.bench import main

# Multiply-accumulates as published with the models.
MACS = {
    "emg_cnn": 346_112,
    "eegnet": 1_114_624,
    "acharya13": 871_658,
    "lstm": 256_192,
    "dscnn": 2_656_768,
}
# What a window may cost with the DSP kernels: instructions on emulated Cortex-M4, bytes of code and stack.
INSTRUCTIONS = {
    "emg_cnn": 450_000,
    "eegnet": 1_600_000,
    "acharya13": 1_500_000,
    "lstm": 650_000,
    "dscnn": 4_200_000,
}
CODE_BYTES, STACK_BYTES = 8192, 512
VARIANTS = ("lstm2", "emg_cnn_ap", "emg_cnn_k1d", "dscnn_hg", "dscnn_feat")

# Arrays of exactly the right size on the heap, where the sanitizer guards both ends.
MAIN = """#include <stdio.h>
#include <stdlib.h>
#include "name.h"

int main(void)
{
    name_t *m = malloc(sizeof *m);
    int8_t *input = malloc(NAME_INPUT_SIZE);
    int8_t *output = malloc(NAME_OUTPUT_SIZE);
    while (fread(input, 1, NAME_INPUT_SIZE, stdin) == NAME_INPUT_SIZE) {
        name_reset(m);
        name_run(m, input, output);
        fwrite(output, 1, NAME_OUTPUT_SIZE, stdout);
    }
    free(m);
    free(input);
    free(output);
    return 0;
}
"""


def vectors(folder: Path, name: str) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Inputs [n, input size], reference outputs [n, output size]: the single one, then twenty if given."""
    inputs = [np.load(folder / f"{name}.in.npy").reshape(1, -1)]
    outputs = [np.load(folder / f"{name}.out.npy").reshape(1, -1)]
    if (folder / f"{name}.in20.npy").exists():
        inputs.append(np.load(folder / f"{name}.in20.npy"))
        outputs.append(np.load(folder / f"{name}.out20.npy"))
    return np.concatenate(inputs), np.concatenate(outputs)


@pytest.mark.parametrize("name", [*MACS, *VARIANTS])
def test_native(anchors: Path, name: str) -> None:
    library = build_shared((anchors / f"{name}.tflite").read_bytes())
    inputs, expected = vectors(anchors, name)
    # An engine a window: the stored outputs are those after a reset.
    assert np.array_equal([NativeEngine(library).run(window) for window in inputs], expected)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize(
    ("name", "board", "target"),
    [
        *((n, "mps2-an386", t) for n in (*MACS, *VARIANTS) for t in ("generic", "cortex-m4")),
        ("emg_cnn", "netduinoplus2", "generic"),
        ("eegnet", "netduinoplus2", "cortex-m4"),
    ],
)
def test_emulated(anchors: Path, tmp_path: Path, name: str, board: str, target: str) -> None:
    assert board in BOARDS
    report = emit((anchors / f"{name}.tflite").read_bytes(), name, tmp_path / name, target)
    inputs, expected = vectors(anchors, name)
    result = run_windows(tmp_path / name, name, inputs[:3], board)
    assert np.array_equal(result.outputs, expected[:3])
    assert result.instructions > report.macs
    assert report.build is not None
    assert report.build.stack_bytes is not None
    assert result.stack_bytes <= report.build.stack_bytes
    if target == "cortex-m4" and name in INSTRUCTIONS:
        assert result.instructions <= INSTRUCTIONS[name]
        small = emit(
            (anchors / f"{name}.tflite").read_bytes(), name, tmp_path / "b", target, optimize="balanced"
        )
        assert small.build is not None
        assert small.build.code_bytes <= CODE_BYTES
        assert result.stack_bytes <= STACK_BYTES


@pytest.mark.parametrize(("name", "macs"), MACS.items())
def test_report(anchors: Path, tmp_path: Path, name: str, macs: int) -> None:
    report = emit((anchors / f"{name}.tflite").read_bytes(), name, tmp_path / name)
    assert report.macs == macs
    assert report.arena_bytes == report.arena_lower_bound


@pytest.mark.parametrize("target", ["generic", "cortex-m4"])
def test_sanitizers(anchors: Path, tmp_path: Path, target: str) -> None:
    """No undefined behaviour and no access outside any array."""
    for name in ("emg_cnn_k1d", "eegnet", "acharya13", "lstm"):
        folder = tmp_path / name
        report = emit((anchors / f"{name}.tflite").read_bytes(), name, folder, target)
        inputs, expected = vectors(anchors, name)
        (folder / "main.c").write_text(MAIN.replace("NAME", name.upper()).replace("name", name))
        flags = [
            "-std=c99",
            "-O1",
            "-g",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            f"-I{folder}",
        ]
        sources = [str(folder / s) for s in (*report.sources, "main.c")]
        subprocess.run(["gcc", *flags, *sources, "-o", str(folder / "a.out")], check=True)
        run = subprocess.run(
            [folder / "a.out"], input=inputs[:3].tobytes(), capture_output=True, check=False, timeout=120
        )
        assert run.returncode == 0, run.stderr.decode()
        assert run.stdout == expected[:3].tobytes()


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
def test_bench_table(anchors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(anchors / "emg_cnn.tflite")]) == 0
    head, _, row = capsys.readouterr().out.splitlines()
    assert len(row.split("|")) == len(head.split("|"))
    assert "| emg_cnn | 346,112 |" in row
    (tmp_path / "cut.tflite").write_bytes((anchors / "emg_cnn.tflite").read_bytes()[:999])
    assert main([str(tmp_path / "cut.tflite")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
