"""The command line as people use it: results on standard output, one sentence for what they can mend."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.pipeline import Pipeline
from innervate.cli import main
from innervate.output import emit_table
from tests.stateful_models import stateful_bundle, step_file
from tests.tflite_maker import Maker
from tests.tiny_bundle import tiny_bundle, tiny_graph
from tests.tiny_firmware import build_tiny, need_board


class Said(NamedTuple):
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def innervate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["innervate", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Said(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture
def saved(bundle: Bundle, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.nrv"
    bundle.save(path)
    return path


def sentence(said: Said, *words: str) -> None:
    """One line on standard error that holds the words, nothing on standard output, exit status 2."""
    assert said.status == 2, said
    assert said.out == ""
    assert said.err.startswith("innervate: ")
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err, said.err


@pytest.mark.parametrize("verb", ["tasks", "datasets", "models", "boards"])
def test_catalogues_print_json(innervate: Command, verb: str) -> None:
    said = innervate(verb, "--json")
    assert said.status == 0
    assert json.loads(said.out)
    assert innervate(verb).out


def test_every_verb_explains_itself(innervate: Command) -> None:
    verbs = (
        "demo tasks datasets models boards train evaluate quantize inspect compile build validate run data"
    )
    overview = innervate("--help").out
    for verb in verbs.split():
        assert verb in overview
        said = innervate(verb, "--help")
        assert said.status == 0
        assert len(said.out) > 200


def test_device_side_starts_without_the_host_packages() -> None:
    code = (
        "import sys, innervate.cli;"
        "sys.exit(bool({'torch', 'scipy', 'brevitas', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_package_names_the_extra(
    innervate: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "brevitas", None)
    for name in [name for name in sys.modules if name.startswith(("quantize.", "brevitas"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "brevitas", None)
    sentence(innervate("quantize", tmp_path, "--out", tmp_path / "x.nrv"), "innervate[host]")


def test_table_cells(capsys: pytest.CaptureFixture[str]) -> None:
    emit_table(("name", "share", "count"), [("a", 0.98765, 1234567), ("b", None, 2)])
    out = capsys.readouterr().out
    assert "0.9877" in out
    assert "1,234,567" in out


# Bad input


@pytest.mark.parametrize("content", ["", "time\tchannel1\n1\t2\n", "\0\1\2"])
def test_corrupt_recording(innervate: Command, tmp_path: Path, content: str) -> None:
    file = tmp_path / "01" / "1_raw_data_x.txt"
    file.parent.mkdir()
    file.write_text(content)
    sentence(innervate("data", "check", tmp_path, "--dataset", "uci_emg_gestures"), str(file))


def test_nan_in_recording_names_file_and_line(innervate: Command, tmp_path: Path) -> None:
    file = tmp_path / "01" / "1_raw_data_x.txt"
    file.parent.mkdir()
    header = "time\t" + "\t".join(f"channel{n}" for n in range(1, 9)) + "\tclass\n"
    file.write_text(header + "1\t" + "1e-5\t" * 8 + "1\n" + "2\t" + "1e-5\t" * 7 + "nan\t1\n")
    out = tmp_path / "run"
    said = innervate(
        "train", "emg_gestures", "--data", tmp_path, "--dataset", "uci_emg_gestures", "--out", out
    )
    sentence(said, str(file), "line 3")
    assert not out.exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1,2,3\n", ("3 values for 4 channels", "line 1")),
        ("1,2,3,4\n1,2,nan,4\n", ("not whole numbers", "line 2")),
        ("", ("no samples",)),
    ],
)
def test_counts_that_do_not_fit(
    innervate: Command, saved: Path, tmp_path: Path, rows: str, words: tuple[str, ...]
) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text(rows)
    sentence(innervate("run", saved, "--source", counts, "--engine", "tflite"), str(counts), *words)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_flipped_byte_in_a_bundle(innervate: Command, saved: Path, share: float) -> None:
    content = bytearray(saved.read_bytes())
    content[int(len(content) * share)] ^= 1
    saved.write_bytes(content)
    sentence(innervate("inspect", saved), str(saved))


def test_truncated_model(innervate: Command, bundle: Bundle, tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(bundle.model[: len(bundle.model) // 2])
    out = tmp_path / "c99"
    sentence(innervate("compile", model, "--out", out), str(model))
    assert not out.exists()


def test_unsupported_operator_is_named_with_its_position(innervate: Command, tmp_path: Path) -> None:
    maker = Maker()
    first = maker.input((1, 4), 0.1, 0)
    second, third = maker.tensor((1, 4), 0.1), maker.tensor((1, 4), 0.1)
    maker.operator("RESHAPE", [first], second)
    maker.operator("SIN", [second], third)
    model = tmp_path / "odd.tflite"
    model.write_bytes(maker.finish(third))
    out = tmp_path / "c99"
    sentence(innervate("compile", model, "--out", out), "SIN", "2 of 2")
    assert not out.exists()


def test_unknown_board(innervate: Command, saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "firmware.elf"
    sentence(innervate("build", saved, "--board", "toaster", "--out", out), "toaster", "netduinoplus2")
    assert not out.exists()


def test_port_that_is_not_there(innervate: Command, saved: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    sentence(innervate("validate", saved, "--port", "/dev/ttyNONE7", "--report", report), "/dev/ttyNONE7")
    assert not (report / "report.json").exists()


def test_firmware_of_another_bundle(innervate: Command, saved: Path, tmp_path: Path) -> None:
    need_board("host")
    other = build_tiny(tiny_bundle(graph=tiny_graph(seed=5)), "host", tmp_path / "other")
    said = innervate("validate", saved, "--port", "host:", "--firmware", other.path)
    sentence(said, "another bundle")


# The verbs on a small bundle


def test_run_gives_the_golden_decisions(
    innervate: Command, saved: Path, bundle: Bundle, tmp_path: Path
) -> None:
    counts = tmp_path / "counts.npy"
    np.save(counts, bundle.golden.counts)
    said = innervate("run", saved, "--source", counts, "--engine", "tflite", "--json")
    decisions = [json.loads(line) for line in said.out.splitlines()]
    names = [*bundle.labels]
    got = [255 if d["label"] is None else names.index(d["label"]) for d in decisions]
    assert got == bundle.golden.decision_label.tolist()
    assert [d["sample_index"] for d in decisions] == bundle.golden.decision_sample_index.tolist()


def test_run_takes_facts_of_the_person(innervate: Command, tmp_path: Path) -> None:
    bundle = stateful_bundle(step_file(context=2), keeps_state=True)
    saved = tmp_path / "stateful.nrv"
    bundle.save(saved)

    def confidences(*facts: str) -> list[float]:
        options = [part for fact in facts for part in ("--context", fact)]
        said = innervate("run", saved, "--engine", "tflite", "--json", *options)
        return [json.loads(line)["confidence"] for line in said.out.splitlines()]

    pipeline = Pipeline(
        bundle, TfliteEngine(bundle.model, keeps_state=True), context={"age_years": 63, "sex_male": 1}
    )
    expected = [d.confidence for d in pipeline.push(bundle.golden.counts)]
    assert confidences("age_years=63", "sex_male=1") == expected
    assert confidences() != expected
    sentence(innervate("run", saved, "--context", "height_m=1.8"), "takes no context height_m", "age_years")
    for wrong in ("age_years", "age_years=old", "=", ""):
        sentence(innervate("run", saved, "--context", wrong), f"'{wrong}' is no fact", "NAME=NUMBER")


def test_inspect_and_compile(innervate: Command, saved: Path, tmp_path: Path) -> None:
    facts = json.loads(innervate("inspect", saved, "--json").out)
    assert facts["model"]["layers"][0]["operator"] == "CONV_2D"
    assert facts["pipeline"]["labels"] == ["rest", "open", "close"]
    assert "SOFTMAX" in innervate("inspect", saved).out
    page = tmp_path / "page.html"
    assert innervate("inspect", saved, "--plots", page).status == 0
    assert "Signal path of" in page.read_text("utf-8")
    out = tmp_path / "c99"
    assert innervate("compile", saved, "--out", out).status == 0
    assert (out / "tiny.h").is_file()
    assert (out / "report.json").is_file()


def test_build_and_validate(innervate: Command, saved: Path, tmp_path: Path) -> None:
    need_board("host")
    firmware, report = tmp_path / "firmware", tmp_path / "report"
    assert innervate("build", saved, "--board", "host", "--out", firmware).status == 0
    said = innervate("validate", saved, "--port", "host:", "--firmware", firmware, "--report", report)
    assert said.status == 0, said
    assert "PASSED" in said.out
    assert json.loads((report / "report.json").read_text())["passed"] is True
    assert "0 of" in (report / "report.html").read_text()


def test_a_device_that_computes_something_else_fails(innervate: Command, saved: Path, tmp_path: Path) -> None:
    need_board("host")
    claims, built = Bundle.load(saved), tiny_bundle(graph=tiny_graph(seed=5))
    liar = build_tiny(built, "host", tmp_path / "liar", claims=claims)
    said = innervate("validate", saved, "--port", "host:", "--firmware", liar.path)
    assert said.status == 1
    assert "FAILED" in said.out


def test_error_sentence_shape() -> None:
    assert str(InnervateError("What", "where", "Do this")) == "What (where). Do this."
    assert str(InnervateError("What")) == "What."
