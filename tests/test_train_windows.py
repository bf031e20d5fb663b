"""Windows and splits: nothing is cut across a boundary, nothing is on both sides of a split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.errors import InnervateError
from edge.signal_path import SignalPath
from train.corpus import RecordingKey
from train.recording import UNMARKED, Annotation, Recording
from train.splits import hold_out, leave_subjects_out, make_splits, within_subject
from train.windows import WindowSet, cut

SHIFT = 24
SETTLE = 3


def plain_path(window: int, hop: int, channels: int = 2) -> SignalPath:
    """No filter; an int8 step is a count."""
    return SignalPath(
        channels=tuple(f"c{n}" for n in range(channels)),
        fs_hz=100.0,
        uv_per_count=1.0,
        counts_bits=8,
        shift=SHIFT,
        stages=(),
        filters=(),
        settle=SETTLE,
        group_delay_ms=0.0,
        window=window,
        hop=hop,
        multiplier=(1 << 30,) * channels,
        right_shift=(SHIFT - 1,) * channels,
    )


def recording_of(
    counts: NDArray[np.int32], annotations: tuple[Annotation, ...], subject: str = "s", part: str = ""
) -> Recording:
    return Recording(counts, 100.0, ("c0", "c1"), 8, subject, "1", annotations, part=part)


@given(
    length=st.integers(1, 120),
    window=st.integers(1, 12),
    hop=st.integers(1, 12),
    skip=st.integers(0, 8),
    bounds=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 40), st.sampled_from("abx")), max_size=5),
)
@settings(max_examples=80, deadline=None)
def test_cut_keeps_exactly_the_windows_inside_one_annotation(
    length: int, window: int, hop: int, skip: int, bounds: list[tuple[int, int, str]]
) -> None:
    hop = min(hop, window)
    annotations, at = [], 0
    for gap, duration, label in bounds:
        if at + gap + duration <= length:
            annotations.append(Annotation(at + gap, duration, label))
            at += gap + duration
    counts = np.random.default_rng(length).integers(-128, 128, (length, 2)).astype(np.int32)
    found = cut([recording_of(counts, tuple(annotations))], plain_path(window, hop), {"a": 0, "b": 1}, skip)

    expected = [
        (end, {"a": 0, "b": 1}[annotation.label], number)
        for end in range(SETTLE + window - 1, length, hop)
        for number, annotation in enumerate(annotations)
        if annotation.label != "x"
        and annotation.onset + skip <= end - window + 1
        and end < annotation.onset + annotation.duration
    ]
    got = list(zip(found.end_index.tolist(), found.y.tolist(), found.segment.tolist(), strict=True))
    assert got == expected
    for index, x in zip(found.end_index, found.x, strict=True):
        np.testing.assert_array_equal(x, counts[index - window + 1 : index + 1])


def test_each_recording_starts_afresh() -> None:
    counts = np.random.default_rng(0).integers(-128, 128, (40, 2)).astype(np.int32)
    annotations = (Annotation(0, 40, "a"),)
    first, second = recording_of(counts, annotations), recording_of(counts, annotations, "t")
    both, alone = cut([first, second], plain_path(8, 4), {"a": 0}), cut([second], plain_path(8, 4), {"a": 0})
    mine = both.select(both.subject == "t")
    np.testing.assert_array_equal(mine.x, alone.x)
    np.testing.assert_array_equal(mine.end_index, alone.end_index)
    assert set(both.recording) == {"s/1", "t/1"}


def test_no_recordings_give_no_windows() -> None:
    found = cut([], plain_path(8, 4), {"a": 0})
    assert found.x.shape == (0, 8, 2)
    assert len(found) == len(found.subject) == 0


def test_recordings_must_fit_the_path() -> None:
    path = plain_path(8, 4)
    good = recording_of(np.zeros((40, 2), np.int32), ())
    for wrong, complaint in (
        (Recording(good.signals, 100.0, ("c0",), 8, "s", "1", ()), "1 channels where 2"),
        (Recording(good.signals, 105.0, good.channels, 8, "s", "1", ()), "Sampled at 105 Hz"),
        (Recording(good.signals, 100.0, good.channels, 16, "s", "1", ()), "Counts of 16 bits"),
        (Recording(good.signals.astype(np.float32), 100.0, good.channels, 8, "s", "1", ()), "ADC counts"),
    ):
        with pytest.raises(InnervateError, match=complaint):
            cut([wrong], path, {})


def test_track_of_segments() -> None:
    recording = recording_of(np.zeros((9, 2), np.int32), (Annotation(1, 2, "a"), Annotation(5, 3, "a")))
    assert recording.segment_track().tolist() == [UNMARKED, 0, 0, UNMARKED, UNMARKED, 1, 1, 1, UNMARKED]


keys_strategy = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from("123"), st.integers(0, 3)), min_size=1, unique=True
).map(lambda rows: [RecordingKey(f"{s}/{t}/{n}", s, t) for s, t, n in rows])


@given(keys=keys_strategy, seed=st.integers(0, 99))
def test_leaving_subjects_out_tests_each_once_and_never_trains_on_them(
    keys: list[RecordingKey], seed: int
) -> None:
    if len({key.subject for key in keys}) < 2:
        with pytest.raises(InnervateError, match="two subjects or more"):
            leave_subjects_out(keys)
        return
    splits = leave_subjects_out(keys, seed)
    subject = {key.id: key.subject for key in keys}
    assert sorted(i for split in splits for i in split.test) == sorted(subject)
    for split in splits:
        assert {subject[i] for i in split.train}.isdisjoint(subject[i] for i in split.test)
        assert set(split.train) | set(split.test) == set(subject)
        assert split.train
        assert split.test


@given(keys=keys_strategy)
def test_within_subject_keeps_sessions_apart(keys: list[RecordingKey]) -> None:
    sessions = {key.id: (key.subject, key.session) for key in keys}
    able = {s for s, t in sessions.values() if t == "1"} & {s for s, t in sessions.values() if t == "3"}
    if not able:
        with pytest.raises(InnervateError, match="No subject has a session"):
            within_subject(keys, ["1"], ["3"])
        return
    splits = within_subject(keys, ["1"], ["3"])
    for split, subject in zip(splits, sorted(able), strict=True):
        assert {sessions[i] for i in split.train} == {(subject, "1")}
        assert {sessions[i] for i in split.test} == {(subject, "3")}
        assert {sessions[i] for i in split.common} == ({(s, "1") for s in able} if len(able) > 1 else set())
        assert split.folds == len(splits)


def test_protocols_are_checked() -> None:
    keys = [RecordingKey("a/1", "a", "1")]
    with pytest.raises(InnervateError, match="both for training and for test"):
        within_subject(keys, ["1"], ["1", "2"])
    with pytest.raises(InnervateError, match="Unknown protocol 'shuffle'"):
        make_splits("shuffle", keys, ["1"], ["2"])


def window_set(rows: list[tuple[str, str, int, int]]) -> WindowSet:
    """From rows of subject, recording, segment, label."""
    count = len(rows)
    subject, recording = (np.array([row[i] for row in rows], np.str_) for i in range(2))
    segment, y = (np.array([row[i] for row in rows], np.int64) for i in (2, 3))
    return WindowSet(
        np.zeros((count, 4, 2), np.int8),
        y,
        recording,
        subject,
        np.full(count, "1", np.str_),
        segment,
        np.arange(count),
        np.zeros((count, 0), np.float32),
    )


@given(seed=st.integers(0, 99), subjects=st.integers(1, 9))
def test_validation_subjects_are_not_fitted(seed: int, subjects: int) -> None:
    windows = window_set([(f"s{n}", f"s{n}/1", 0, n % 2) for n in range(subjects) for _ in range(3)])
    fitted, validated = hold_out(windows, "leave_subjects_out", seed)
    assert (fitted ^ validated).all()
    assert set(windows.subject[fitted]).isdisjoint(windows.subject[validated])
    assert fitted.any()
    assert validated.any() == (subjects > 1)


def test_validation_within_subject_is_the_last_segment_of_each_label() -> None:
    windows = window_set(
        [
            ("a", "a/1", 0, 0),
            ("a", "a/1", 0, 0),
            ("a", "a/1", 1, 1),
            ("a", "a/1", 2, 0),
            ("b", "b/1", 0, 0),
            ("b", "b/2", 0, 0),
        ]
    )
    fitted, validated = hold_out(windows, "within_subject", 0)
    assert validated.tolist() == [False, False, False, True, False, True]
    assert (fitted ^ validated).all()
