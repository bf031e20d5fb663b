"""From a run to a bundle, end to end on a small data set; pruning and the verification table on the way."""

import hashlib
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from edge.bundle import Bundle
from edge.decision import NO_LABEL, Flag
from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.path_runner import PathRunner
from edge.pipeline import Pipeline
from edge.quality import Gates
from innervate.verbs.precision import method
from quantize.bundle_maker import GOLDEN_WINDOWS, golden_counts, make_golden
from quantize.c99 import build_shared
from quantize.calibrate import METHODS
from quantize.convert import QuantizeResult, quantize
from quantize.distil import distil
from quantize.tflite_metadata import read_facts
from quantize.verify import verify
from tests.quant_models import as_input, file_of, networks, quantized, window_set, windows
from tests.test_train_run import TASK
from tests.tiny_bundle import RULE, tiny_counts, tiny_graph, tiny_path
from train.run import Run, train

NETWORKS = networks()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six participants, two sessions, three gestures that differ in loudness per channel."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    gains = rng.uniform(20, 400, (3, 10))
    for participant in range(1, 7):
        for session in ("train", "test"):
            emg = folder / f"Participant{participant}" / session / "EMG"
            emg.mkdir(parents=True)
            for gesture in range(3):
                counts = np.rint(rng.normal(0, 1, (1500, 10)) * gains[gesture]).astype(int)
                np.savetxt(emg / f"3dc_EMG_gesture_0_{gesture}.txt", counts, "%d", ",")
    return folder


def trained(text: str, data: Path, out: Path) -> Run:
    task = out.with_suffix(".toml")
    task.write_text(text)
    return train(task, "emg_3dc", data, out=out, seed=1)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    text = TASK.replace("[[8, 9, 4]]", "[[12, 9, 4], [16, 3, 1]]")
    return trained(text, data, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def result(run: Run, tmp_path_factory: pytest.TempPathFactory) -> QuantizeResult:
    return quantize(run, tmp_path_factory.mktemp("out") / "x.nrv", prune=0.5, mode="qat", fast=True)


def test_the_bundle_holds_what_was_measured(run: Run, result: QuantizeResult) -> None:
    bundle = Bundle.load(result.bundle_path)
    assert bundle.hash == result.bundle.hash
    assert (bundle.labels, bundle.rule, bundle.signal_path) == (
        run.labels,
        run.plan.decision,
        run.signal_path,
    )
    assert result.metrics.trained == run.metrics.test
    assert result.metrics.int8.accuracy.value > 0.9
    assert result.metrics.int8.accuracy.value == bundle.card["metrics"]["int8"]["accuracy"]["value"]
    assert bundle.card["quantization"]["pruned_channels"] == 0.5
    assert json.loads(json.dumps(result.to_json()))["hash"] == bundle.hash
    assert result.after.macs < 0.6 * result.before.macs


def test_all_executors_are_in_the_table(result: QuantizeResult) -> None:
    assert [row.engine for row in result.table] == [
        "float", "fake-quantized", "tflite-runtime reference", "tflite-runtime optimised",
        "ai-edge-litert reference", "ai-edge-litert optimised", "ai-edge-litert xnnpack",
        "tflm", "generated c",
    ]  # fmt: skip
    rows = {row.engine: row for row in result.table}
    assert rows["generated c"].max_lsb == 0
    reference = rows[result.verification.reference]
    assert (reference.max_lsb, reference.differing, reference.agreement) == (0, 0.0, 1.0)
    ran = [row for row in result.table if row.missing is None]
    assert {row.engine for row in result.table} - {row.engine for row in ran} <= {"tflm"}  # an extra
    assert all(row.agreement is not None and row.agreement >= 0.98 for row in ran)
    assert all(row.version for row in ran)


def test_golden_vectors_are_what_core_and_reference_kernels_give(result: QuantizeResult) -> None:
    bundle = result.bundle
    golden = bundle.golden
    assert len(golden.windows) == min(GOLDEN_WINDOWS, len(golden.windows)) > 10
    assert np.array_equal(PathRunner(bundle.signal_path).filter(golden.counts), golden.filtered)
    found, ends = PathRunner(bundle.signal_path).windows(golden.counts)
    assert np.array_equal(found, golden.windows)
    assert np.array_equal(ends, golden.window_end)
    assert len(set(golden.decision_label.tolist()) - {NO_LABEL}) >= 2
    assert golden.kernels.endswith("reference")
    engine = NativeEngine(build_shared(bundle.model))
    assert np.array_equal([engine.run(window) for window in golden.windows], golden.outputs)
    decisions = Pipeline(bundle, TfliteEngine(bundle.model)).push(golden.counts)
    assert [d.flags for d in decisions] == golden.decision_flags.tolist()


def test_golden_counts_reach_every_limit() -> None:
    path = tiny_path()
    counts = golden_counts([tiny_counts(5000, seed) // 4 for seed in (1, 2)], path)
    golden = make_golden(counts, path, RULE, file_of_tiny())
    assert len(golden.windows) == GOLDEN_WINDOWS
    assert {int(golden.windows.min()), int(golden.windows.max())} == {-128, 127}
    assert golden.counts.max() == (1 << (path.counts_bits - 1)) - 1
    flags = np.bitwise_or.reduce(golden.decision_flags)
    assert flags & Flag.SATURATED
    assert (golden.decision_flags == 0).any()


def test_golden_counts_make_every_gate_speak() -> None:
    gates = Gates(
        saturated_run=3,
        flat_run=30,
        slope=50_000,
        amplitude=20_000 << tiny_path().shift,
        mains_step=round(50 / tiny_path().fs_hz * 2**32),
        mains_shift=6,
        mains_share=200,
    )
    path = msgspec.structs.replace(tiny_path(), gates=gates)
    counts = golden_counts([tiny_counts(5000, seed) // 4 for seed in (1, 2)], path)
    golden = make_golden(counts, path, RULE, file_of_tiny())
    for flag in (Flag.SATURATED, Flag.FLAT, Flag.SLOPE, Flag.AMPLITUDE, Flag.MAINS):
        assert (golden.decision_flags & flag).any()
        assert not (golden.decision_flags & flag).all()
    assert (golden.decision_flags == 0).any()


def test_short_recordings_give_what_they_have() -> None:
    path = tiny_path()
    assert len(golden_counts([tiny_counts(50)], path)) == 4 * 50
    with pytest.raises(InnervateError, match="60 samples, which is not enough"):
        golden_counts([tiny_counts(15)], path)


def file_of_tiny() -> bytes:
    from quantize.tflite_writer import write

    return write(tiny_graph())


@pytest.mark.parametrize("model", ["gru", "lstm"])
def test_a_kept_state_goes_all_the_way(model: str, data: Path, tmp_path: Path) -> None:
    text = TASK.replace('model = "cnn1d"', f'model = "{model}"\nkeeps_state = true')
    text = text.replace("{ layers = [[8, 9, 4]], hidden = [] }", "{ units = 8, stride = 10 }")
    run = trained(text.replace("hop_ms = 50", "hop_ms = 100"), data, tmp_path / "run")
    result = quantize(run, tmp_path / "x.nrv", fast=True)
    bundle = Bundle.load(tmp_path / "x.nrv")
    assert bundle.pipeline.keeps_state
    facts = read_facts(bundle.model)
    assert facts is not None
    assert facts.keeps_state
    assert facts.signal_path == run.signal_path
    assert facts.labels == run.labels
    assert facts.calibration == result.calibration.sha256
    rows = {row.engine: row for row in result.table}
    assert rows["generated c"].max_lsb == 0
    assert rows["fake-quantized"].agreement == 1.0
    assert result.metrics.int8.accuracy.value >= result.metrics.trained.accuracy.value - 0.05


def test_the_card_says_how_it_was_quantized(run: Run, tmp_path: Path) -> None:
    result = quantize(
        run, tmp_path / "x.nrv", mode="ptq", calibration="mse", equalize=True, int16=("worst",), fast=True
    )
    card = Bundle.load(tmp_path / "x.nrv").card["quantization"]
    (wide,) = result.recipe.int16
    assert wide in [layer.layer for layer in result.noise.layers]
    assert (card["mode"], card["calibration"], card["equalize"], card["int16"]) == (
        "ptq",
        "mse",
        True,
        [wide],
    )
    train_windows = run.windows("train")
    assert card["calibration_set"] == {
        "sha256": hashlib.sha256(train_windows.x.tobytes()).hexdigest(),  # there are fewer than are drawn
        "windows": len(train_windows),
        "recordings": sorted(set(train_windows.recording.tolist())),
    }
    assert [layer["layer"] for layer in card["noise"]["layers"]] == [one.layer for one in result.noise.layers]
    assert result.metrics.int8.accuracy.value > 0.9


def test_ptq_needs_no_training(run: Run, tmp_path: Path) -> None:
    result = quantize(run, tmp_path / "x.nrv", mode="ptq", fast=True)
    assert result.before == result.after
    assert result.metrics.pruned.accuracy.value == pytest.approx(result.metrics.trained.accuracy.value)
    assert result.metrics.int8.accuracy.value > 0.9


def test_the_same_run_gives_the_same_bundle_and_tells_its_progress(
    run: Run, result: QuantizeResult, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []
    again = quantize(
        run, tmp_path / "x.nrv", prune=0.5, mode="qat", fast=True, progress=lambda *step: told.append(step)
    )
    assert again.bundle.hash == result.bundle.hash
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == ["read", "prune", "calibrate", "qat", "verify", "test"]
    assert all(done <= total for _, done, total in told)


def test_distilling_brings_the_quantized_network_to_the_float_one() -> None:
    teacher, x = NETWORKS["plain"], windows(400, seed=9)
    student = quantized(teacher)
    with torch.no_grad():
        for parameter in student.weighted.parameters():
            parameter.mul_(
                1.0 + 0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
            )
    told: list[tuple[str, int, int]] = []

    def distance() -> float:
        with torch.no_grad():
            return float((student(as_input(x)) - teacher(as_input(x))).abs().mean())

    before = distance()
    distil(student, teacher, x, 150, 64, 3e-3, 0, lambda *step: told.append(step))
    assert distance() < 0.5 * before
    assert told[-1] == ("qat", 150, 150)
    assert not student.training


def test_a_missing_engine_is_a_row_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> Path:
        raise InnervateError("no C compiler", "", "Install gcc")

    monkeypatch.setattr("quantize.executors.build_shared", none)
    model = NETWORKS["plain"]
    table = verify(model, quantized(model), file_of(model), window_set(windows(10)))
    assert table.row("generated c").missing == "no C compiler. Install gcc."
    assert table.row(table.reference).max_lsb == 0
    with pytest.raises(KeyError):
        table.row("abacus")


def test_a_module_without_int8_form_is_refused_before_anything_slow(run: Run, tmp_path: Path) -> None:
    class Strange(Run):
        def model(self) -> nn.Module:
            return nn.Sequential(nn.Conv2d(10, 3, 1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    with pytest.raises(InnervateError, match=r"GELU .*\(1\)\. Use ReLU"):
        quantize(Strange(run.folder, run.record, run.metrics), tmp_path / "x.nrv")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_calibration_is_a_sentence() -> None:
    assert [method(name) for name in METHODS] == list(METHODS)
    with pytest.raises(InnervateError, match=r"No calibration 'max' .* Choose percentile or mse"):
        method("max")
