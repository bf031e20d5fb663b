"""A network on features from task file to device: trained, quantized, bundled, flashed, validated."""

import re
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.engines.native import NativeEngine
from edge.errors import InnervateError
from edge.firmware.bench.chain import TARGETS
from edge.firmware.bench.feature_bench import cost
from edge.path_runner import PathRunner
from edge.pipeline import Pipeline
from hil_tests.run import validate
from quantize.c99 import build_shared
from quantize.convert import QuantizeResult, quantize
from tests.core_paths import path_of
from tests.test_train_run import TASK
from tests.tiny_firmware import build_tiny, need_board
from train import task
from train.feature_settings import FeatureSettings, with_features
from train.run import Run, train
from train.windows import counts_for

MODELS = """
[models.mlp]
model_params = { hidden = [12] }
signal_path = { percentile = 100, features = ["hudgins", { kind = "log_band_power", band_hz = [50, 200] }] }
fit = { augmentation = { gain = 0.2, noise = 0.5 } }
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six participants, two sessions, three gestures that differ in loudness per channel."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    gains = rng.uniform(20, 400, (3, 10))
    for participant in range(1, 7):
        for session in ("train", "test"):
            emg = folder / "data" / f"Participant{participant}" / session / "EMG"
            emg.mkdir(parents=True)
            for gesture in range(3):
                counts = np.rint(rng.normal(0, 1, (1500, 10)) * gains[gesture]).astype(int)
                np.savetxt(emg / f"3dc_EMG_gesture_0_{gesture}.txt", counts, "%d", ",")
    file = folder / "small.toml"
    file.write_text(TASK + MODELS)
    return train(file, "emg_3dc", folder / "data", out=folder / "run", model="mlp", seed=1)


@pytest.fixture(scope="module")
def result(run: Run, tmp_path_factory: pytest.TempPathFactory) -> QuantizeResult:
    return quantize(run, tmp_path_factory.mktemp("out") / "x.nrv", mode="ptq")


def test_training_windows_are_standardised_vectors(run: Run) -> None:
    path = run.signal_path
    assert path.model_shape == (1, 50)
    assert path.features is not None
    assert path.features.spectrum_length == 128
    windows = run.windows("train")
    assert windows.x.shape[1:] == (1, 50)
    np.testing.assert_allclose(windows.x.mean(axis=(0, 1)), 0, atol=12)
    np.testing.assert_allclose(windows.x.std(axis=(0, 1)), 32, rtol=0.5)
    assert run.metrics.test.accuracy.value > 0.95
    assert run.metrics.floor.accuracy.value > 0.95  # of the same features
    assert Run.load(run.folder).signal_path == path


def test_the_scale_is_of_training_recordings_only(run: Run) -> None:
    """Of everybody's first session: the network learns from all of them before it does from its wearer."""
    runner = PathRunner(run.signal_path)
    parts = []
    for recording in run.experiment.corpus.recordings(run.record.split.common):
        runner.reset()
        parts.append(runner.feature_levels(counts_for(run.signal_path, recording))[0])
    levels = np.concatenate(parts).astype(np.float64)
    for column, scale in zip(levels.T, run.signal_path.feature_scale, strict=True):
        factor = scale.multiplier / 2.0**scale.shift
        assert factor == pytest.approx(32 / column.std(), rel=1e-6)
        assert scale.bias / 2.0**scale.shift - 0.5 == pytest.approx(-column.mean() * factor, abs=1e-3)


def test_the_bundle_decides_as_the_generated_code(result: QuantizeResult) -> None:
    bundle = Bundle.load(result.bundle_path)
    assert bundle.golden.windows.shape[1:] == (1, 50)
    assert bundle.golden.filtered.shape[1] == 10
    engine = NativeEngine(build_shared(bundle.model))
    decisions = Pipeline(bundle, engine).push(bundle.golden.counts)
    assert [d.sample_index for d in decisions] == bundle.golden.decision_sample_index.tolist()
    labels = [255 if d.label is None else d.label for d in decisions]
    assert labels == bundle.golden.decision_label.tolist()


@pytest.mark.parametrize(
    ("url", "board"),
    [
        ("host:", "host"),
        pytest.param("qemu:netduinoplus2", "netduinoplus2", marks=pytest.mark.slow),
    ],
)
def test_a_device_gives_the_same_integers(
    url: str, board: str, result: QuantizeResult, tmp_path: Path
) -> None:
    need_board(board, emulator=True)
    firmware = build_tiny(result.bundle, board, tmp_path)
    report = validate(result.bundle_path, url, firmware.path, tmp_path / "report")
    assert report.passed, [test for test in report.tests if test.outcome == "failed"]
    parity = {stage.stage: (stage.values, stage.differing) for stage in report.parity}
    assert parity["window"] == (result.bundle.golden.windows.size, 0)
    assert parity["output"][1] == parity["decision"][1] == 0


def test_a_network_s_overlay_holds_for_it_alone(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(
        TASK + MODELS + "[datasets.emg_3dc.models.mlp]\nsignal_path = { window_ms = 200 }\n"
        "[datasets.simulated]\nmodel = 'mlp'\nlabels = { rest = 'rest', wrist_flexion = 'wrist_flexion' }\n"
    )
    read = task.load(file)
    own = read.plan("emg_3dc")
    assert (own.model, own.signal_path.features, own.signal_path.window_ms) == ("cnn1d", (), 100)
    mlp = read.plan("emg_3dc", model="mlp")
    assert mlp.model_params == {"hidden": [12]}
    assert mlp.signal_path.features == (
        "hudgins",
        FeatureSettings(kind="log_band_power", band_hz=(50, 200)),
    )
    assert (mlp.signal_path.percentile, mlp.signal_path.window_ms) == (100, 200)
    chosen = read.plan("simulated")  # by the file, not by the caller
    assert (chosen.model, chosen.signal_path.percentile, chosen.signal_path.window_ms) == ("mlp", 100, 100)


def test_augmentations_of_the_signal_do_not_touch_features(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(TASK + MODELS + "[models.eegnet]\nfit = { augmentation = { gain = 0.2, noise = 0.5 } }\n")
    settings = [task.load(file).plan("emg_3dc", model=name).fit.augmentation for name in ("mlp", "eegnet")]
    assert [(one.gain, one.noise) for one in settings] == [(0.0, 0.5), (0.2, 0.5)]


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ("[models.mlp]\nsignal_path = { feature = [] }", "unknown field `feature`"),
        ("[models.mlp]\nsignal_path = { features = [{ kind = 'loudness' }] }", "settings do not fit"),
        ("[models.mlp]\nsignal_path = { features = ['loudness'] }", "settings do not fit"),
        ("[datasets.emg_3dc.models.mlp]\nepochs = 3", "unknown field `epochs`"),
    ],
)
def test_a_malformed_overlay_is_found_on_reading(tmp_path: Path, extra: str, complaint: str) -> None:
    file = tmp_path / "t.toml"
    file.write_text(TASK + "[datasets.emg_3dc]\n" + extra)
    with pytest.raises(InnervateError, match=re.escape(complaint)):
        task.load(file)


def test_windows_too_short_for_the_band_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="no bin from 8 to 13 Hz"):
        with_features(path_of(window=64), [FeatureSettings(kind="band_power", band_hz=(8, 13))])


@pytest.mark.slow
def test_the_bench_counts_the_features() -> None:
    """An emulated window of 256 costs what docs/features.md says of its parts, and a little for the rest."""
    missing = TARGETS["mps2-an386"].missing
    if missing:
        pytest.skip(f"install {' '.join(missing.values())}")
    path = path_of(bits=16, shift=8, window=256, hop=256, right_shift=13)
    plain = with_features(path, [FeatureSettings(kind="line_length")])
    spectral = with_features(path, [FeatureSettings(kind="log_band_power", band_hz=(100, 200))])
    counts = np.random.default_rng(0).integers(-(2**14), 2**14, (600, 1)).astype(np.int32)
    time, frequency = cost(plain, counts), cost(spectral, counts)
    assert 8_040 < time.completing < 8_040 + 2_000
    assert 65_000 < frequency.completing < 67_052 + 2_000
    assert time.other < 200
