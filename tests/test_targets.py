"""Targets: where graphs split, memory, the Edge TPU's compiler, files of any converter, the command line."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InnervateError
from innervate.cli import main
from quantize.c99 import emit
from quantize.targets import check, docs, edgetpu_compiler, targets
from quantize.targets.litert import LITERT, TFLITE_RUNTIME
from quantize.targets.report import TargetReport
from quantize.tflite_reader import read_file
from tests.one_operator import Given, Graph, Step, one_operator, write
from tests.target_models import ROW, chain, conv, no_compiler
from tests.tiny_bundle import tiny_bundle

__all__ = ["no_compiler"]


def places(report: TargetReport) -> list[str]:
    return [operator.runs_on for operator in report.operators]


def test_the_graph_splits_once() -> None:
    report = check(chain("RELU", "RELU6", "EXP", "RELU"), "edgetpu")
    assert places(report) == ["Edge TPU", "Edge TPU", "CPU", "CPU"]
    assert "before layer 3, EXP" in report.operators[3].why
    assert report.estimates["edgetpu_operators"] == 2
    assert "2 of 4 operators run on the CPU, the first is layer 3, EXP" in report.verdict


def test_conversions_at_the_ends_do_not_split_the_graph() -> None:
    real = Given((1, 4), "FLOAT32")
    steps = [Step("QUANTIZE", [0], [1]), Step("RELU", [1], [2]), Step("DEQUANTIZE", [2], [3])]
    report = check(write(Graph([real, ROW, ROW, real], steps, [0], [3])), "edgetpu")
    assert places(report) == ["CPU", "Edge TPU", "CPU"]
    assert not report.fits
    inside = [Step("DEQUANTIZE", [0], [1]), Step("QUANTIZE", [1], [2]), Step("RELU", [2], [3])]
    report = check(write(Graph([ROW, real, ROW, ROW], inside, [0], [3])), "edgetpu")
    assert places(report) == ["CPU", "CPU", "CPU"]


def test_parameters_beyond_the_memory_of_the_edge_tpu() -> None:
    def weights(units: int) -> str:
        data = Given((units, 4096), scale=0.25, data=np.zeros(units * 4096, np.int8))
        file = one_operator("FULLY_CONNECTED", [Given((1, 4096)), data], Given((1, units)), "FullyConnected")
        return check(file, "edgetpu").notes[0]

    assert "does not fit" not in weights(2048)
    assert "8,392,704 bytes of parameters" in weights(2049)
    assert "does not fit" in weights(2049)


SUMMARY = """Edge TPU Compiler version 16.0.384591198
Model compiled successfully in 20 ms.
On-chip memory used for caching model parameters: 1.50KiB
Number of Edge TPU subgraphs: 1
Total number of operations: 4
"""


def compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(edgetpu_compiler, "PROGRAM", str(program))


def test_the_compiler_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = chain("RELU", "EXP", "RELU", "RELU")
    (tmp_path / "says").write_text(SUMMARY)
    compiler(tmp_path, monkeypatch, f'test -s "$4" && cat {tmp_path}/says')
    report = check(file, "edgetpu")
    assert report.fits
    assert "4 operators on it and 0 on the CPU" in report.verdict
    assert "On-chip memory used for caching model parameters: 1.50KiB" in report.notes
    counts = (
        "Number of operations that will run on Edge TPU: 1\nNumber of operations that will run on CPU: 3\n"
    )
    (tmp_path / "says").write_text(SUMMARY + counts)
    report = check(chain("RELU", "RELU", "RELU", "RELU"), "edgetpu")
    assert not report.fits
    assert "1 operators on it and 3 on the CPU" in report.verdict


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'ERROR: no such thing'; exit 1", "ERROR: no such thing"),
        ("exit 3", "said nothing, exit status 3"),
        (r"printf 'ERROR \033[31m\377\000'", "ERROR"),
        ("yes ERROR | head -c 10000000", "ERROR"),
    ],
)
def test_a_compiler_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    compiler(tmp_path, monkeypatch, script)
    report = check(chain("RELU"), "edgetpu")
    assert not report.fits
    assert report.verdict == "edgetpu_compiler did not compile the file."
    assert words in " ".join(report.notes)
    assert all(note.isprintable() for note in report.notes)
    assert len(report.notes) < 50


def test_a_compiler_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, monkeypatch, f"(sleep 1; touch {tmp_path}/alive) & sleep 60")
    answer = edgetpu_compiler.ask(chain("RELU"), limit_s=0.3)
    assert answer is not None
    assert "ended after 0.3 s" in answer.summary[-1]
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["sleep", "60"], timeout=1.2, check=True)
    assert not (tmp_path / "alive").exists()


# Measured with TensorFlow Lite Micro and CMSIS-NN under emulation of a Cortex-M4, bytes.
ARENAS = {"emg_cnn": 5684, "eegnet": 22516, "acharya13": 27972, "lstm": 5348, "dscnn": 22820}


@pytest.mark.parametrize("name", ARENAS)
def test_arena_of_the_interpreter(anchors: Path, name: str) -> None:
    report = check((anchors / f"{name}.tflite").read_bytes(), "tflm")
    assert report.fits
    assert report.estimates["arena_bytes"] == pytest.approx(ARENAS[name], rel=0.1)


@pytest.mark.parametrize("name", ["eegnet", "emg_cnn"])
def test_memory_of_generated_c(anchors: Path, name: str, tmp_path: Path) -> None:
    file = (anchors / f"{name}.tflite").read_bytes()
    report = check(file, "cortex-m4")
    built = emit(file, name, tmp_path / "c", "cortex-m4")
    assert report.estimates == {"constant_bytes": built.constant_bytes, "arena_bytes": built.arena_bytes}


def test_anchors(anchors: Path) -> None:
    lstm = (anchors / "lstm.tflite").read_bytes()
    assert check(lstm, "raspberry-pi").fits
    # int8x8_16: the one operator that the Edge TPU may have int16 state in.
    assert check(lstm, "edgetpu").operators[0].fits
    assert "CMSIS-NN's LSTM" in " ".join(check(lstm, "tflm").notes)
    cnn = check((anchors / "emg_cnn.tflite").read_bytes(), "raspberry-pi")
    assert cnn.operators[0].runs_on == "tflite-runtime, ai-edge-litert (XNNPACK)"


def test_one_runtime_is_enough() -> None:
    report = check(chain("NEG", "RELU"), "raspberry-pi")
    assert report.fits
    assert report.verdict == f"Fits Raspberry Pi with {LITERT}."
    assert report.notes[0].startswith(f"{TFLITE_RUNTIME} lacks 1 of 2 operators, the first is layer 1, NEG")


def test_ends_that_the_pipeline_cannot_feed() -> None:
    real = Given((1, 4), "FLOAT32")
    file = write(Graph([real, ROW], [Step("QUANTIZE", [0], [1])], [0], [1]))
    report = check(file, "raspberry-pi")
    assert not report.fits
    assert report.operators[0].fits
    assert "feeds one int8 window" in report.verdict
    assert "'t0' is FLOAT32" in report.file[0]


def while_file() -> bytes:
    """A loop: two further graphs, one that returns its input, and a variable."""
    body = Graph([ROW, ROW], [Step("RELU", [0], [1])], [0], [1])
    test = Graph([ROW, ROW, Given((1, 4), "BOOL")], [Step("LESS", [0, 1], [2], "Less")], [0, 1], [2])
    state = Given((1, 4), variable=True)
    steps = [Step("CALL_ONCE", [], []), Step("ADD", [0, 1], [2], "Add"), Step("WHILE", [2], [3])]
    return write(Graph([ROW, state, ROW, ROW], steps, [0], [3]), test, body)


def test_files_with_several_graphs() -> None:
    model = read_file(while_file())
    assert [graph.operators[0].name for graph in model.subgraphs] == ["LESS", "RELU"]
    assert model.tensors[1].variable
    report = check(while_file(), "tflm")
    assert report.fits
    assert [operator.place for operator in report.operators] == ["1", "2", "3", "2.1", "3.1"]
    for target in ("edgetpu", "cortex-m4"):
        assert "A file holds one graph; here there are 3" in check(while_file(), target).file[0]


def test_custom_operators_are_named() -> None:
    file = write(Graph([ROW, ROW], [Step("CUSTOM", [0], [1], custom="FlexErf")], [0], [1]))
    for target in targets():
        report = check(file, target)
        assert report.operators[0].operator == "CUSTOM (FlexErf)"
        assert not report.fits


def test_all_reports_are_plain_values() -> None:
    for target in targets():
        for file in (while_file(), conv(), chain("RELU", "SIN")):
            report = check(file, target)
            assert json.loads(json.dumps(report.to_json()))["target"] == target
            assert all(len(row) == len(report.columns) for row in report.rows)


def test_unknown_target() -> None:
    with pytest.raises(InnervateError, match=r"Unknown target 'gpu'.*Targets are cortex-m4, .*tflm\.$"):
        check(conv(), "gpu")


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[1] / "docs" / "targets.md"
    assert page.read_text() == docs.page(), "run: python -m quantize.targets.docs > docs/targets.md"


def innervate(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["innervate", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_model_of_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.nrv"
    tiny_bundle().save(path)
    assert innervate(monkeypatch, "inspect", path, "--target", "cortex-m4", "--json") == 0
    assert json.loads(capsys.readouterr().out)["operators"][-1]["operator"] == "SOFTMAX"


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.tflite", tmp_path / "bad.tflite"
    good.write_bytes(conv())
    bad.write_bytes(chain("RELU", "SIN"))
    assert innervate(monkeypatch, "inspect", good, "--target", "edgetpu") == 0
    assert "Fits Edge TPU: all 1 operators" in capsys.readouterr().out
    assert innervate(monkeypatch, "inspect", bad, "--target", "edgetpu") == 1
    said = capsys.readouterr().out
    assert "SIN" in said
    assert "Does not fit Edge TPU" in said.splitlines()[-1]
    assert innervate(monkeypatch, "inspect", bad, "--target", "edgetpu", "--json") == 1
    assert json.loads(capsys.readouterr().out)["operators"][1]["fits"] is False
    assert innervate(monkeypatch, "inspect", bad, "--target", "gpu") == 2
    assert capsys.readouterr().err.count("\n") == 1
    bad.write_bytes(conv()[:60])
    assert innervate(monkeypatch, "inspect", bad, "--target", "tflm") == 2
    assert innervate(monkeypatch, "inspect", good) == 0


# By TensorFlow Lite Micro and both runtimes on an x86-64 host; the Edge TPU's by its documentation.
KERAS = {
    "cnn_int8": {"cortex-m4": True, "edgetpu": True, "raspberry-pi": True, "tflm": True},
    "cnn_open_batch": {"cortex-m4": False, "edgetpu": False, "raspberry-pi": False, "tflm": True},
    "gru_loop": {"cortex-m4": False, "edgetpu": False, "raspberry-pi": False, "tflm": True},
}


@pytest.mark.parametrize("name", KERAS)
def test_files_that_tensorflow_makes_of_keras_models(name: str) -> None:
    file = (Path(__file__).parent / "data" / "keras" / f"{name}.tflite").read_bytes()
    assert {target: check(file, target).fits for target in KERAS[name]} == KERAS[name]
    # Only the pipeline cannot feed the last two: every operator runs in both runtimes.
    pi = check(file, "raspberry-pi")
    assert all(operator.fits for operator in pi.operators)
    assert not pi.notes


def test_files_out_of_proportion_are_not_looked_into() -> None:
    report = check(chain(*["RELU"] * 4097), "cortex-m4")
    assert not report.operators
    assert "at most 4,096 operators, and they use at most 128 MiB" in report.verdict
