"""Splits of recordings into training and test, by session or by subject, and a validation part of training.

A recording is wholly on one side: overlapping windows never straddle a split.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from train.corpus import RecordingKey
from train.windows import WindowSet

Protocol = Literal["within_subject", "leave_subjects_out"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

FOLDS = 5
VALID_FRACTION = 0.15
"""Share of the training subjects held back to validate, at least one subject."""


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which recordings train and which test.

    Attributes:
        protocol: how they were chosen.
        fold: number of this split, from 0.
        folds: how many there are.
        train: ids of the recordings that train.
        test: ids of the recordings that test.
        common: ids of the training recordings of everyone, where `train` holds those of one subject only
            and a network may learn from all before; empty otherwise. Never a recording that tests in any
            fold.
    """

    protocol: Protocol
    fold: int
    folds: int
    train: tuple[str, ...]
    test: tuple[str, ...]
    common: tuple[str, ...] = ()


def make_splits(
    protocol: str,
    keys: Sequence[RecordingKey],
    train_sessions: Collection[str],
    test_sessions: Collection[str],
    seed: int = 0,
) -> list[Split]:
    """Return all splits of a protocol; `seed` deals subjects out to folds.

    Raises:
        InnervateError: unknown protocol, or too few subjects or sessions for it.
    """
    if protocol == "within_subject":
        return within_subject(keys, train_sessions, test_sessions)
    if protocol == "leave_subjects_out":
        return leave_subjects_out(keys, seed)
    raise InnervateError(f"Unknown protocol '{protocol}'", "", f"Choose one of {', '.join(PROTOCOLS)}")


def within_subject(
    keys: Sequence[RecordingKey], train_sessions: Collection[str], test_sessions: Collection[str]
) -> list[Split]:
    """Train on some sessions of a subject, test on others of the same subject; a split for each subject.

    Subjects who lack either take no part.

    Raises:
        InnervateError: a session is on both sides, or no subject has both.
    """
    both = sorted(set(train_sessions) & set(test_sessions))
    if both:
        raise InnervateError(
            f"Session '{both[0]}' is both for training and for test", "task file", "Name it once"
        )
    trained = {key.subject for key in keys if key.session in train_sessions}
    tested = {key.subject for key in keys if key.session in test_sessions}
    subjects = sorted(trained & tested)
    if not subjects:
        raise InnervateError(
            "No subject has a session to train and another to test on",
            "",
            "Use leave_subjects_out, or add recordings",
        )
    common = {key.id for key in keys if key.subject in subjects and key.session in train_sessions}
    return [
        _checked(
            "within_subject",
            fold,
            len(subjects),
            keys,
            {key.id for key in keys if key.subject == subject and key.session in train_sessions},
            {key.id for key in keys if key.subject == subject and key.session in test_sessions},
            common if len(subjects) > 1 else set(),
        )
        for fold, subject in enumerate(subjects)
    ]


def leave_subjects_out(keys: Sequence[RecordingKey], seed: int = 0, folds: int = FOLDS) -> list[Split]:
    """Test on subjects of whom nothing was trained on, each subject once.

    Subjects are shuffled and dealt out to the folds like cards, so that another seed tries other company;
    with fewer subjects than folds each is a fold of its own.

    Raises:
        InnervateError: there are fewer than two subjects.
    """
    names = sorted({key.subject for key in keys})
    subjects = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    if len(subjects) < 2:
        raise InnervateError("Leaving subjects out needs two subjects or more", "", "Use within_subject")
    folds = min(folds, len(subjects))
    return [
        _checked(
            "leave_subjects_out",
            fold,
            folds,
            keys,
            {key.id for key in keys if key.subject not in subjects[fold::folds]},
            {key.id for key in keys if key.subject in subjects[fold::folds]},
        )
        for fold in range(folds)
    ]


def _checked(
    protocol: Protocol,
    fold: int,
    folds: int,
    keys: Iterable[RecordingKey],
    train: set[str],
    test: set[str],
    common: Collection[str] = (),
) -> Split:
    assert test.isdisjoint(train), "a recording on both sides of a split"
    assert test.isdisjoint(common), "a recording on both sides of a split"
    order = [key.id for key in keys]
    parts = (tuple(one for one in order if one in part) for part in (train, test, common))
    return Split(protocol, fold, folds, *parts)


def hold_out(train: WindowSet, protocol: str, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Divide training windows into a part that fits and a part that validates, for early stopping.

    When subjects are left out, the part that validates is whole subjects too, so that it asks the same
    question as the test. Otherwise it is the last segment of each label in each session of each subject,
    where there is more than one.

    Args:
        train: windows of training recordings only.
        protocol: of the split.
        seed: chooses the subjects.

    Returns:
        Two bool masks ``[N]`` (fit, validate), disjoint, together all windows; no segment is in both.
    """
    if protocol == "leave_subjects_out":
        subjects = np.unique(train.subject)
        count = max(1, round(VALID_FRACTION * len(subjects))) if len(subjects) > 1 else 0
        chosen = np.random.default_rng(seed).permutation(subjects)[:count]
        valid = np.isin(train.subject, chosen)
    else:
        valid = _last_segments(train)
    return ~valid, valid


def _last_segments(train: WindowSet) -> NDArray[np.bool_]:
    valid = np.zeros(len(train), dtype=bool)
    segments: dict[tuple[str, str, int], list[tuple[str, int]]] = {}
    for subject, session, label, recording, segment in zip(
        train.subject, train.session, train.y, train.recording, train.segment, strict=True
    ):
        seen = segments.setdefault((subject, session, int(label)), [])
        if not seen or seen[-1] != (recording, segment):
            seen.append((recording, segment))
    for seen in segments.values():
        if len(seen) > 1:
            recording, segment = seen[-1]
            valid |= (train.recording == recording) & (train.segment == segment)
    return valid
