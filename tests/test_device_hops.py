"""Engine and firmware that compute only what a window adds to the one before it."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.pipeline import Pipeline
from hil_tests.run import validate
from innervate.firmware import build_firmware
from quantize.c99 import build_shared
from quantize.c99.streaming.hops import saving_hop
from tests.stateful_models import stateful_bundle, step_file
from tests.tiny_bundle import CHANNELS, HOP, WINDOW, tiny_bundle, tiny_counts, tiny_path
from tests.tiny_firmware import need_board


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture
def engine(bundle: Bundle) -> NativeEngine:
    return NativeEngine(build_shared(bundle.model, bundle.signal_path))


class Recorder(TfliteEngine):
    """The reference kernels, remembering what they gave."""

    def __init__(self, model: bytes) -> None:
        super().__init__(model, "reference")
        self.outputs: list[NDArray[np.int8]] = []

    def run(self, window: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        self.outputs.append(super().run(window, context))
        return self.outputs[-1]


def test_a_hop_is_taken_where_it_saves() -> None:
    bundle, path = tiny_bundle(), tiny_path()
    assert saving_hop(bundle.model, path, "generic") == HOP
    assert saving_hop(bundle.model, msgspec.structs.replace(path, hop=WINDOW), "generic") is None
    assert saving_hop(bundle.model, msgspec.structs.replace(path, hop=WINDOW - 2), "generic") is None, (
        "too little"
    )
    assert saving_hop(bundle.model, msgspec.structs.replace(path, hop=HOP + 1), "generic") is None, (
        "no multiple of the stride"
    )


def test_a_model_with_state_is_run_as_it_is() -> None:
    stateful = stateful_bundle(step_file(), keeps_state=False)
    assert saving_hop(stateful.model, stateful.signal_path, "generic") is None


def test_decisions_of_the_native_engine_with_gaps_and_resets(bundle: Bundle, engine: NativeEngine) -> None:
    """Outputs are those of the reference kernels on whole windows, wherever the stream breaks."""
    assert engine.hop_size == HOP * CHANNELS
    assert NativeEngine(build_shared(bundle.model)).hop_size == 0
    reference = Recorder(bundle.model)
    ours, theirs = Pipeline(bundle, engine), Pipeline(bundle, reference)
    counts = tiny_counts(900)
    for pipeline in (ours, theirs):
        made = pipeline.push(counts[:333], 0)
        made += pipeline.push(counts[340:700], 340)  # seven samples lost
        pipeline.reset()
        made += pipeline.push(counts[500:], 0)
        if pipeline is ours:
            decided = [(d.label, d.confidence, d.flags, d.sample_index) for d in made]
    assert decided == [(d.label, d.confidence, d.flags, d.sample_index) for d in made]
    assert len({bytes(output) for output in reference.outputs}) > 10, "the windows differ"


def test_windows_that_do_not_follow_are_run_whole(bundle: Bundle, engine: NativeEngine) -> None:
    rng = np.random.default_rng(3)
    signal = rng.integers(-128, 128, (40 * HOP, CHANNELS)).astype(np.int8)
    reference = TfliteEngine(bundle.model, "reference")
    starts = [0, HOP, 2 * HOP, 2 * HOP, 7, 7 + HOP, 5 * HOP, *rng.integers(0, 30 * HOP, 20)]
    for start in starts:
        window = signal[start : start + WINDOW]
        assert np.array_equal(engine.run(window), reference.run(window)), start


@pytest.mark.parametrize(
    ("url", "board"),
    [("host:", "host"), pytest.param("qemu:netduinoplus2", "netduinoplus2", marks=pytest.mark.slow)],
)
def test_the_suite_passes_on_firmware_that_takes_hops(
    url: str, board: str, bundle: Bundle, tmp_path: Path
) -> None:
    need_board(board, emulator=True)
    bundle.save(tmp_path / "tiny.nrv")
    firmware = build_firmware(bundle, board, tmp_path / "firmware")
    report = validate(tmp_path / "tiny.nrv", url, firmware.path, tmp_path / "report")
    assert report.passed, [test for test in report.tests if test.outcome != "passed"]
    assert [stage.differing for stage in report.parity] == [0] * 5
    if url != "host:":  # an emulator counts: the last window was a hop, the longest was whole
        assert report.status["model_last"] < 0.8 * report.status["model_max"]
