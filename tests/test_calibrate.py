"""`innervate calibrate` and a device that calibrates: what the host's own arithmetic finds, over the link."""

import json
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import device_calibration, wire
from edge.bundle import Bundle
from edge.calibration import Calibration, Calibrator
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.gain import GainControl
from edge.link import Link
from edge.messages import (
    Ack,
    Calibrate,
    CalibrationPhase,
    CalibrationResult,
    ClearCalibration,
    ErrorCode,
    GetCalibration,
    Refused,
)
from edge.pipeline import Pipeline
from hil_tests.run import validate
from innervate.cli import main
from tests.fake_device import FakeDevice, obedient
from tests.tiny_bundle import tiny_bundle, tiny_path
from tests.tiny_firmware import build_tiny, need_board


def counts(loud: float, seed: int) -> NDArray[np.int32]:
    path = tiny_path()
    shape = ((path.settle + 300) * path.decimation, len(path.channels))
    drawn: NDArray[np.float64] = np.random.default_rng(seed).normal(0, loud, shape)
    return np.rint(drawn).astype(np.int32)


REST, MVC = counts(20, 1), counts(2000, 2)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> Calibration:
    calibrator = Calibrator(bundle.signal_path, bundle.hash, 3.5)
    calibrator.rest(REST)
    return calibrator.mvc(MVC)


def test_command(
    bundle: Bundle,
    expected: Calibration,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    need_board("host")
    bundle.save(tmp_path / "tiny.nrv")
    firmware = build_tiny(bundle, "host", tmp_path).path
    np.save(tmp_path / "rest.npy", REST)
    np.save(tmp_path / "mvc.npy", MVC)
    store, out = tmp_path / "store", tmp_path / "me.json"
    monkeypatch.setenv("NRV_STORE", str(store))

    def run(*more: str) -> int:
        command = ["innervate", "calibrate", str(tmp_path / "tiny.nrv"), "--port", "host:"]
        monkeypatch.setattr(sys, "argv", [*command, "--firmware", str(firmware), *more])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    files = ["--rest", str(tmp_path / "rest.npy"), "--mvc", str(tmp_path / "mvc.npy")]
    assert run(*files, "--headroom", "3.5", "--out", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out)["mvc"] == list(expected.mvc)
    assert Calibration.load(out) == expected
    assert store.read_bytes() == expected.record()
    assert run(*files) == 0
    assert "MVC / rest" in capsys.readouterr().out
    before = store.read_bytes()
    assert run("--rest", files[3], "--mvc", files[1]) == 2
    assert "1.5 times as loud" in capsys.readouterr().err
    assert store.read_bytes() == before
    assert run("--rest", files[1]) == 2
    assert "one of --rest and --mvc is missing" in capsys.readouterr().err

    # What another bundle left, or a damaged store, is not used.
    for left in (before[:8] + bytes(8) + before[16:], before[:-1], before + b"x", b""):
        store.write_bytes(left)
        with Link.open("host:", firmware) as link:
            assert device_calibration.read(link, bundle.signal_path) is None


def test_pipeline_calibrates_itself(bundle: Bundle, expected: Calibration) -> None:
    engine = TfliteEngine(bundle.model, "reference")
    pipeline = Pipeline(bundle, engine)
    assert pipeline.calibrate(REST, MVC, 3.5) == expected
    assert pipeline.calibration == expected
    decisions = pipeline.push(bundle.golden.counts)
    loaded = Pipeline(bundle, engine, expected).push(bundle.golden.counts)
    trained = Pipeline(bundle, engine).push(bundle.golden.counts)
    bare = [(d.label, d.confidence, d.flags) for d in decisions]
    assert bare == [(d.label, d.confidence, d.flags) for d in loaded]
    assert bare != [(d.label, d.confidence, d.flags) for d in trained]
    with pytest.raises(InnervateError, match=r"1\.5 times as loud"):
        pipeline.calibrate(MVC, MVC)
    assert pipeline.calibration == expected


@pytest.mark.parametrize("common", [False, True])
def test_suite_passes_with_gain_control(common: bool, tmp_path: Path) -> None:
    need_board("host")
    control = GainControl(target=20, time_shift=2, common=common)
    bundle = tiny_bundle(path=msgspec.structs.replace(tiny_path(), gain_control=control))
    assert (bundle.golden.windows != tiny_bundle().golden.windows).any()
    bundle.save(tmp_path / "tiny.nrv")
    firmware = build_tiny(bundle, "host", tmp_path)
    report = validate(tmp_path / "tiny.nrv", "host:", firmware.path, tmp_path / "report")
    assert report.passed, [test for test in report.tests if test.outcome == "failed"]


class Wearer:
    """A device with a converter: says how far it is by itself."""

    def __init__(self, reason: int) -> None:
        self.reason = reason
        self.phases: list[tuple[int, int]] = []

    def __call__(self, fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if not isinstance(message, Calibrate):
            obedient(fake, sequence, message)
            return
        self.phases.append((message.phase, message.samples))
        fake.say(Ack(sequence, 0, 1024))
        fake.say(CalibrationResult(message.phase, 0, 0, message.samples // 2))
        fake.say(CalibrationResult(message.phase, self.reason, 2, message.samples))


def test_device_with_its_own_converter() -> None:
    path, told = tiny_path(), []
    wearer = Wearer(0)
    with FakeDevice(wearer) as fake, Link.open(fake.url) as link:
        device_calibration.gather(
            link, path, CalibrationPhase.REST, 500, 4.0, lambda done, wanted: told.append((done, wanted))
        )
    assert wearer.phases == [(0, 500)]
    assert told[-1] == (500, 500)
    for reason, words in ((1, "limits"), (2, "flat"), (3, "1.5 times"), (6, "lasts until the next reset")):
        with (
            FakeDevice(Wearer(reason)) as fake,
            Link.open(fake.url) as link,
            pytest.raises(InnervateError, match=words),
        ):
            device_calibration.gather(link, path, CalibrationPhase.MVC, 9, 4.0, lambda *_: None)


def test_device_that_gathers_nothing_or_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_calibration, "PATIENCE_SECONDS", 0.2)

    def silent(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if isinstance(message, Calibrate):
            fake.say(Ack(sequence, 0, 1024))
        else:
            obedient(fake, sequence, message)

    with (
        FakeDevice(silent) as fake,
        Link.open(fake.url) as link,
        pytest.raises(InnervateError, match=r"gathered 0 of 9 samples.*no converter"),
    ):
        device_calibration.gather(link, tiny_path(), CalibrationPhase.REST, 9, 4.0, lambda *_: None)

    def unable(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if message.ID in (GetCalibration.ID, ClearCalibration.ID):
            fake.say(Refused(ErrorCode.NOT_STORED, sequence))
        else:
            obedient(fake, sequence, message)

    with (
        FakeDevice(unable) as fake,
        Link.open(fake.url) as link,
        pytest.raises(InnervateError, match="could not store"),
    ):
        device_calibration.write(link, None)
