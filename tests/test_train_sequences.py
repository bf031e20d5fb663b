"""Windows in a row: how they are cut into rows, and a state that goes on from one to the next."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError
from tests.test_train_windows import plain_path, window_set
from train import models
from train.fit import fit
from train.models import Recurrent, to_input
from train.predict import predict, predict_windows
from train.recording import UNMARKED, Annotation, Recording
from train.sequences import NONE, marked_only, rows
from train.settings import FitSettings
from train.windows import WindowSet, cut

RECURRENT = [name for name in models.names() if models.is_recurrent(name)]
LENGTH, CHANNELS = 8, 2


@given(st.lists(st.integers(1, 9), max_size=5), st.integers(1, 6), st.integers(0, 5))
def test_rows_hold_each_window_once_and_never_two_recordings(
    lengths: list[int], length: int, phase: int
) -> None:
    recording = np.repeat(np.array([f"r{n}" for n in range(len(lengths))], np.str_), lengths)
    found = rows(recording, length, phase % length)
    assert found.shape[1] == length
    assert sorted(found[found != NONE].tolist()) == list(range(len(recording)))
    for row in found:
        held = row[row != NONE]
        assert (row[: len(held)] == held).all()
        assert (np.diff(held) == 1).all()
        assert len(set(recording[held])) == 1
    if phase % length and lengths:
        assert (found[0] != NONE).sum() == min(phase % length, lengths[0])


def first_tells(recordings: int, windows: int, seed: int = 0) -> WindowSet:
    """Recordings of noise whose first window alone says which class all of its windows have."""
    rng = np.random.default_rng(seed)
    blank = window_set(
        [(f"s{n % 4}", f"s{n % 4}/{n}", 0, n % 2) for n in range(recordings) for _ in range(windows)]
    )
    x = rng.normal(0, 10, (len(blank), LENGTH, CHANNELS))
    x[::windows] += np.where(blank.y[::windows, None, None] == 1, 80, -80)
    y = np.where(rng.random(len(blank)) < 0.2, UNMARKED, blank.y)
    return replace(blank, x=np.clip(np.rint(x), -128, 127).astype(np.int8), y=y)


def network(name: str, keeps_state: bool = True, context: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        params = {"layers": [[8, 3, 1]], "steps": 2} if name == "cnn_gru" else {}
        return models.build(name, CHANNELS, LENGTH, 2, params, context, keeps_state)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_kept_state_is_what_tells(name: str) -> None:
    train, test = first_tells(80, 4), first_tells(40, 4, seed=1)
    model = network(name)
    settings = FitSettings(epochs=40, batch_size=32, learning_rate=1e-2, sequence=4)
    history = fit(model, train, test, settings, seed=0).history
    later = (np.arange(len(test)) % 4 > 0) & (test.y != UNMARKED)
    kept, alone = predict_windows(model, test), predict(model, test.x)
    assert (kept.argmax(axis=1) == test.y)[later].mean() > 0.9
    assert (alone.argmax(axis=1) == test.y)[later].mean() < 0.75
    marked = test.y != UNMARKED
    assert history[-1].valid_accuracy == pytest.approx((kept.argmax(axis=1) == test.y)[marked].mean())


@pytest.mark.parametrize("name", RECURRENT)
def test_each_recording_begins_with_a_state_of_zero(name: str) -> None:
    """However many there are, and however long the longest is."""
    test = first_tells(5, 6)
    test = test.select(np.flatnonzero(np.arange(len(test)) != 3))  # one recording is shorter
    model = network(name).eval()
    assert isinstance(model, Recurrent)
    kept = predict_windows(model, test)
    for one in np.unique(test.recording):
        mine = test.recording == one
        row = to_input(test.x[mine]).unsqueeze(0)
        with torch.no_grad():
            np.testing.assert_allclose(kept[mine], model.sequence(row)[0].numpy(), rtol=1e-4, atol=1e-5)
    first = np.r_[True, test.recording[1:] != test.recording[:-1]]
    np.testing.assert_allclose(kept[first], predict(model, test.x[first]), rtol=1e-4, atol=1e-5)
    model.keeps_state = False
    np.testing.assert_array_equal(predict_windows(model, test), predict(model, test.x))


@pytest.mark.parametrize("name", [name for name in RECURRENT if name != "recurrent_conv"])
def test_a_row_is_a_window_of_its_length(name: str) -> None:
    model = network(name, context=3).eval()
    assert isinstance(model, Recurrent)
    x, context = torch.randn(5, 4, CHANNELS, 1, LENGTH).clamp(-1, 1), torch.randn(5, 3)
    with torch.no_grad():
        said = model.sequence(x, context)
        for count in range(1, 5):
            long = x[:, :count].permute(0, 2, 3, 1, 4).flatten(3)
            torch.testing.assert_close(said[:, count - 1], model(long, context), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_weights() -> None:
    train = first_tells(40, 4)
    settings = FitSettings(epochs=3, batch_size=16, sequence=3, mixup=0.3, average=0.9)
    said = []
    for seed in (0, 0, 1):
        model = network("gru")
        fit(model, train, None, settings, seed=seed)
        said.append(predict_windows(model, train))
    np.testing.assert_array_equal(said[0], said[1])
    assert not np.array_equal(said[0], said[2])


def test_a_network_without_a_state_cannot_keep_one() -> None:
    with pytest.raises(InnervateError, match="The network 'cnn1d' has no state to keep"):
        models.build("cnn1d", 2, 200, 2, {}, keeps_state=True)
    assert models.keeps_state(models.build("gru", 2, 20, 2, {}, keeps_state=True))
    assert not models.keeps_state(models.build("gru", 2, 20, 2, {}))


def recording_of(counts: NDArray[np.int32], part: str, *annotations: Annotation) -> Recording:
    return Recording(counts, 100.0, ("a", "b"), 8, "s", "1", annotations, part=part)


def test_windows_without_a_label_are_kept_for_the_state() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(-100, 100, (3, 100, 2)).astype(np.int32)
    recordings = [
        recording_of(
            counts[0], "0", Annotation(0, 35, "a"), Annotation(35, 30, "b"), Annotation(65, 20, "c")
        ),
        recording_of(counts[1], "1", Annotation(0, 100, "c")),
        recording_of(counts[2], "2", Annotation(20, 80, "b")),
    ]
    path, classes = msgspec.structs.replace(plain_path(window=10, hop=10), settle=0), {"a": 0, "b": 1}
    labelled, every = (cut(recordings, path, classes, every=flag) for flag in (False, True))
    assert every.y.tolist() == [0, 0, 0, -1, 1, 1, -1, -1, -1, -1, -1, -1, *[1] * 8]
    assert sorted(set(every.recording)) == ["s/1/0", "s/1/2"]
    chosen = every.select(every.y != UNMARKED)
    for name in ("x", "y", "recording", "segment", "end_index"):
        np.testing.assert_array_equal(getattr(chosen, name), getattr(labelled, name))
    fitted = marked_only(every, every.y == 0)
    assert set(fitted.recording) == {"s/1/0"}
    assert fitted.y.tolist() == [0, 0, 0, *[-1] * 7]
