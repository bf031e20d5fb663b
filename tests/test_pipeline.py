"""The pipeline: the same decisions for any chunking, the golden ones, and a sentence for bad counts."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.decision import NO_LABEL, Decision, Flag
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.pipeline import Pipeline
from edge.sources.file import FileSource
from tests.tiny_bundle import CHANNELS, CLASSES, HOP, WINDOW, tiny_bundle, tiny_counts

SETTLE = 25


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> TfliteEngine:
    return TfliteEngine(bundle.model)


def plain(decisions: list[Decision]) -> list[tuple[int, int, int | None, float, int]]:
    """Everything but the time it took."""
    return [(d.window_index, d.sample_index, d.label, d.confidence, d.flags) for d in decisions]


def test_decisions_are_those_of_the_rule_on_the_reference_outputs(
    bundle: Bundle, engine: TfliteEngine
) -> None:
    """Against a plain Python reading of the rule, on the outputs of the golden vectors."""
    golden, rule = bundle.golden, bundle.rule
    limit = 1 << (bundle.signal_path.counts_bits - 1)
    at_limit = ((golden.counts <= -limit) | (golden.counts >= limit - 1)).any(axis=1)
    ring: list[int | None] = []
    expected: list[int | None] = []
    for end, output in zip(golden.window_end, golden.outputs.astype(int), strict=True):
        best, second = sorted(output)[-1], sorted(output)[-2]
        winner = int(output.argmax())
        accepted = best + 128 >= rule.threshold and best != second
        saturated = at_limit[end - WINDOW + 1 : end + 1].any()
        ring = [*ring, winner if accepted and not saturated else None][-rule.votes :]
        if ring[-1] is None:
            expected.append(None)
            continue
        counts = {label: ring.count(label) for label in set(ring) if label is not None}
        most = max(counts.values())
        winners = [label for label, votes in counts.items() if votes == most]
        expected.append(winners[0] if len(winners) == 1 and most >= rule.min_votes else None)
    decisions = Pipeline(bundle, engine).push(golden.counts)
    assert [d.label for d in decisions] == expected
    assert [d.sample_index for d in decisions] == golden.window_end.tolist()
    assert {None} < set(expected)


def test_golden_decisions_come_out(bundle: Bundle, engine: TfliteEngine) -> None:
    golden = bundle.golden
    decisions = Pipeline(bundle, engine).push(golden.counts, 0)
    assert [NO_LABEL if d.label is None else d.label for d in decisions] == golden.decision_label.tolist()
    assert [round(d.confidence * 256) for d in decisions] == golden.decision_confidence.tolist()
    assert [d.flags for d in decisions] == golden.decision_flags.tolist()
    assert all(d.compute_us is not None and d.compute_us > 0 for d in decisions)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 700), max_size=12), first=st.sampled_from([0, 1000, 2**32 - 100]))
def test_any_chunking_gives_the_same_decisions(
    bundle: Bundle, engine: TfliteEngine, cuts: list[int], first: int
) -> None:
    counts = bundle.golden.counts
    whole = Pipeline(bundle, engine).push(counts, first)
    pipeline = Pipeline(bundle, engine)
    edges = [0, *sorted(cuts), len(counts)]
    pieces = [
        pipeline.push(counts[a:b], (first + a) % 2**32 if a == 0 else None)
        for a, b in itertools.pairwise(edges)
    ]
    assert plain([d for piece in pieces for d in piece]) == plain(whole)


def test_sample_by_sample(bundle: Bundle, engine: TfliteEngine) -> None:
    pipeline = Pipeline(bundle, engine)
    decisions = [d for sample in bundle.golden.counts for d in pipeline.push(sample.tolist())]
    assert plain(decisions) == plain(Pipeline(bundle, engine).push(bundle.golden.counts))


def test_a_gap_says_no_decision_and_starts_anew(bundle: Bundle, engine: TfliteEngine) -> None:
    counts = bundle.golden.counts
    pipeline = Pipeline(bundle, engine)
    before = pipeline.push(counts[:200], 0)
    after = pipeline.push(counts[230:], 230)
    assert before[-1].sample_index < 200
    assert after[0].label is None
    assert after[0].flags & Flag.GAP
    assert after[1].sample_index == 230 + SETTLE + WINDOW - 1
    fresh = Pipeline(bundle, engine).push(counts[230:], 230)
    assert [(d.label, d.confidence, d.flags) for d in after[1:]] == [
        (d.label, d.confidence, d.flags) for d in fresh
    ]
    assert pipeline.gaps == 1


def test_late_and_doubled_samples_change_nothing(bundle: Bundle, engine: TfliteEngine) -> None:
    counts = bundle.golden.counts
    pipeline = Pipeline(bundle, engine)
    decisions = pipeline.push(counts[:300], 0)
    assert pipeline.push(counts[100:300], 100) == []
    decisions += pipeline.push(counts[250:], 250)
    assert plain(decisions) == plain(Pipeline(bundle, engine).push(counts, 0))
    assert pipeline.late == 200 + 50


def test_stale_clears_the_votes(bundle: Bundle, engine: TfliteEngine) -> None:
    pipeline = Pipeline(bundle, engine)
    pipeline.push(bundle.golden.counts[:300])
    assert (pipeline.stale().label, pipeline.stale().flags & Flag.STALE) == (None, Flag.STALE)


def test_reset_is_the_start(bundle: Bundle, engine: TfliteEngine) -> None:
    pipeline = Pipeline(bundle, engine)
    first = pipeline.push(bundle.golden.counts[:333], 7)
    pipeline.reset()
    assert plain(pipeline.push(bundle.golden.counts[:333], 7)) == plain(first)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.zeros((10, CHANNELS)), "float64"),
        (np.full((10, CHANNELS), np.nan), "NaN"),
        (np.full((10, CHANNELS), np.inf), "infinity"),
        (np.zeros((10, CHANNELS + 1), int), f"{CHANNELS} channels"),
        (np.zeros((2, 10, CHANNELS), int), f"{CHANNELS} channels"),
        (np.zeros(CHANNELS - 1, int), f"{CHANNELS} channels"),
        (np.zeros((10, CHANNELS), bool), "bool"),
        (np.zeros((10, CHANNELS), object), "object"),
        ([["a"] * CHANNELS], "not whole counts"),
    ],
)
def test_what_is_not_counts_is_refused(
    bundle: Bundle, engine: TfliteEngine, counts: NDArray[np.generic], message: str
) -> None:
    pipeline = Pipeline(bundle, engine)
    with pytest.raises(InnervateError, match=message):
        pipeline.push(counts)
    assert plain(pipeline.push(bundle.golden.counts)) == plain(
        Pipeline(bundle, engine).push(bundle.golden.counts)
    )


def test_an_engine_of_another_model_is_refused(bundle: Bundle) -> None:
    class Other:
        name = "other"
        input_shape = (1, 1, WINDOW, CHANNELS + 1)
        has_steps, keeps_state = False, False
        context_size, output_size = 0, CLASSES

        def run(self, window: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
            return window

        def reset(self) -> None:
            pass

    with pytest.raises(InnervateError, match=f"needs {WINDOW} x {CHANNELS}"):
        Pipeline(bundle, Other())


def test_a_window_of_another_shape_is_refused(engine: TfliteEngine) -> None:
    with pytest.raises(InnervateError, match="is no int8 input"):
        engine.run(np.zeros((WINDOW, CHANNELS + 1), np.int8))


def test_the_device_side_imports_nothing_heavy() -> None:
    heavy = {
        "torch",
        "tensorflow",
        "scipy",
        "mne",
        "sklearn",
        "brevitas",
        "matplotlib",
        "pandas",
        "quantize",
        "train",
    }
    code = (
        "import sys, edge, edge.pipeline, edge.bundle, edge.engines.tflite, edge.engines.native; "
        "import edge.sources.file; "
        f"print(sorted({heavy!r} & {{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


CHANNEL_NAMES = tuple(f"ch{i}" for i in range(CHANNELS))


def write_csv(path: Path, counts: NDArray[np.int32], header: bool) -> None:
    lines = [",".join(CHANNEL_NAMES)] if header else []
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in counts.tolist())]) + "\n")


@pytest.mark.parametrize("kind", ["npy", "csv", "csv with header"])
def test_files_give_the_counts_in_order(tmp_path: Path, kind: str) -> None:
    counts = tiny_counts(150)
    path = tmp_path / f"x.{kind[:3]}"
    if kind == "npy":
        np.save(path, counts.astype(np.int16))
    else:
        write_csv(path, counts, "header" in kind)
    chunks = list(FileSource(path, CHANNEL_NAMES, chunk=64))
    assert [index for index, _ in chunks] == [0, 64, 128]
    assert np.array_equal(np.concatenate([chunk for _, chunk in chunks]), counts)


def test_a_file_through_the_pipeline(tmp_path: Path, bundle: Bundle, engine: TfliteEngine) -> None:
    path = tmp_path / "x.npy"
    np.save(path, bundle.golden.counts)
    pipeline = Pipeline(bundle, engine)
    decisions = [
        d for first, counts in FileSource(path, CHANNEL_NAMES, 31) for d in pipeline.push(counts, first)
    ]
    assert plain(decisions) == plain(Pipeline(bundle, engine).push(bundle.golden.counts))
    assert len(decisions) == (len(bundle.golden.counts) - SETTLE - WINDOW) // HOP + 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"1,2,3,4\n1,2,3\n", "3 values for 4 channels .*line 2"),
        ("x.csv", b"1,2,3,4\n1,nan,3,4\n", "'1,nan,3,4' is not whole numbers .*line 2"),
        ("x.csv", b"1,2,3,4\n1,2.5,3,4\n", "not whole numbers .*line 2"),
        ("x.csv", b"1,2,3,4294967296\n", "32 bits .*line 1"),
        ("x.csv", b"a,b,c,d\n1,2,3,4\n", "the channels are a, b, c, d, not ch0"),
        ("x.csv", b"", "no samples"),
        ("x.csv", b"ch0,ch1,ch2,ch3\n", "no samples"),
        ("x.csv", b"\xff\xfe\x00", "not a text file"),
        ("x.npy", b"", "not a whole .npy"),
        ("x.npy", b"\x93NUMPY\x01\x00v\x00{'descr'", "not a whole .npy"),
        ("x.txt", b"1,2,3,4\n", "unknown kind of file '.txt'"),
    ],
)
def test_a_bad_file_is_a_sentence(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InnervateError, match=message):
        FileSource(path, CHANNEL_NAMES)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, CHANNELS)), "float64, not whole counts"),
        (np.zeros((5, CHANNELS - 1), np.int32), r"\(5, 3\), not \[samples, 4\]"),
        (np.full((5, CHANNELS), 1 << 40), "32 bits"),
        (np.zeros((0, CHANNELS), np.int32), "no samples"),
        (np.array([{}] * 4), "not a whole .npy"),
    ],
)
def test_a_bad_array_is_a_sentence(tmp_path: Path, array: NDArray[np.generic], message: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, array)
    with pytest.raises(InnervateError, match=message):
        FileSource(path, CHANNEL_NAMES)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="No such file"):
        FileSource(tmp_path / "x.npy", CHANNEL_NAMES)


def test_chunks_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="chunks of 0"):
        FileSource(tmp_path / "x.npy", CHANNEL_NAMES, 0)
