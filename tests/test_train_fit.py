"""Networks and their fitting: shapes, determinism, resuming, early stopping."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from edge.errors import InnervateError
from tests.test_train_windows import window_set
from train import models
from train.augment import augment
from train.fit import fit
from train.predict import predict
from train.settings import Augmentation, FitSettings
from train.windows import WindowSet

LAYERS = [[8, 3, 2]]
SETTINGS = FitSettings(
    epochs=4, batch_size=16, average=0.9, mixup=0.2, augmentation=Augmentation(gain=0.2, flip=True, noise=1.0)
)


def two_classes(count: int, seed: int = 0) -> WindowSet:
    """Windows of 16 samples whose class is how loud they are."""
    rng = np.random.default_rng(seed)
    blank = window_set([("s", "s/1", n, n % 2) for n in range(count)])
    loud = np.where(blank.y == 1, 60, 10)[:, None, None]
    x = np.clip(rng.normal(0, 1, (count, 16, 2)) * loud, -128, 127).astype(np.int8)
    others = (
        getattr(blank, name)
        for name in ("y", "recording", "subject", "session", "segment", "end_index", "context")
    )
    return WindowSet(x, *others)


def network(seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.build("cnn1d", 2, 16, 2, {"layers": LAYERS, "hidden": [8]})


def test_registry_is_the_folder() -> None:
    assert "cnn1d" in models.names()
    for name in models.names():
        assert models.describe(name)
        assert models.build(name, 8, 200, 7, {})(torch.zeros(3, 8, 1, 200)).shape == (3, 7)


@pytest.mark.parametrize(
    ("name", "window", "params", "complaint"),
    [
        ("cnn9", 16, {}, "Unknown network 'cnn9'"),
        ("cnn1d", 16, {"depth": 3}, "no parameter 'depth'"),
        ("cnn1d", 4, {"layers": [[8, 9, 1]]}, "too short for its kernels"),
        ("cnn1d", 16, {"layers": "many"}, "cannot be built"),
    ],
)
def test_a_network_that_cannot_be_built(
    name: str, window: int, params: dict[str, object], complaint: str
) -> None:
    with pytest.raises(InnervateError, match=complaint):
        models.build(name, 2, window, 2, params)


def test_input_layout() -> None:
    x = np.arange(-12, 12, dtype=np.int8).reshape(2, 4, 3)
    tensor = models.to_input(x)
    assert tensor.shape == (2, 3, 1, 4)
    assert tensor[1, 2, 0, 3] == x[1, 3, 2] / 128


def test_fit_learns_and_is_deterministic() -> None:
    train, test = two_classes(200), two_classes(100, seed=1)
    state = torch.get_rng_state()
    first, second = network(), network()
    settings = msgspec.structs.replace(SETTINGS, epochs=12, mixup=0.0)
    fit(first, train, None, settings, seed=3)
    fit(second, train, None, settings, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    logits = predict(first, test.x)
    assert (logits.argmax(axis=1) == test.y).mean() > 0.95
    np.testing.assert_array_equal(logits, predict(second, test.x))
    other = network()
    fit(other, train, None, settings, seed=4)
    assert not np.array_equal(logits, predict(other, test.x))


class InterruptedFitError(Exception):
    pass


def test_an_interrupted_fit_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    train, valid = two_classes(64), two_classes(30, seed=1)
    whole, resumed = network(), network()
    expected = fit(whole, train, valid, SETTINGS, seed=5)

    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise InterruptedFitError

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(InterruptedFitError):
        fit(resumed, train, valid, SETTINGS, seed=5, progress=interrupt, checkpoint=checkpoint)
    again = network(seed=9)  # whatever it holds is overwritten
    seen: list[int] = []
    result = fit(
        again,
        train,
        valid,
        SETTINGS,
        seed=5,
        checkpoint=checkpoint,
        progress=lambda stage, done, total: seen.append(done),
    )
    assert seen == [3, 4]
    assert result.history == expected.history
    np.testing.assert_array_equal(predict(again, valid.x), predict(whole, valid.x))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    for junk in (b"", b"junk", bytes(range(256))):
        checkpoint.write_bytes(junk)
        with pytest.raises(InnervateError, match=r"checkpoint cannot be read.*checkpoint\.pt"):
            fit(network(), two_classes(64), None, SETTINGS, seed=0, checkpoint=checkpoint)


def test_patience_keeps_the_epoch_that_validated_best() -> None:
    train = two_classes(64)
    wrong = two_classes(40, seed=1)
    swapped = WindowSet(
        wrong.x,
        1 - wrong.y,
        *(
            getattr(wrong, name)
            for name in ("recording", "subject", "session", "segment", "end_index", "context")
        ),
    )
    settings = FitSettings(epochs=30, batch_size=16, patience=3)
    model = network()
    result = fit(model, train, swapped, settings, seed=0)
    losses = [epoch.valid_loss for epoch in result.history]
    assert result.stopped_early
    assert len(losses) < 30
    assert result.best_epoch == int(np.argmin(np.array(losses)))
    assert len(losses) == result.best_epoch + 1 + 3
    logits = torch.from_numpy(predict(model, swapped.x))
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(swapped.y))
    assert float(loss) == pytest.approx(losses[result.best_epoch])


def test_too_few_windows_and_diverging_losses_are_refused() -> None:
    with pytest.raises(InnervateError, match="too few windows"):
        fit(network(), two_classes(1), None, SETTINGS, seed=0)
    with pytest.raises(InnervateError, match="no longer finite"):
        fit(
            network(), two_classes(64), None, FitSettings(epochs=9, batch_size=16, learning_rate=1e30), seed=0
        )


def test_no_augmentation_changes_nothing() -> None:
    x = models.to_input(two_classes(20).x)
    torch.testing.assert_close(augment(x, Augmentation()), x, rtol=0, atol=0)


def test_augmentation_stays_on_the_int8_grid() -> None:
    x = models.to_input(two_classes(50).x)
    before = x.clone()
    every = Augmentation(gain=0.5, channel_gain=0.5, flip=True, turn=0.5, drop=0.2, noise=3.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        steps = augment(x, every) * 128
    assert torch.equal(x, before)
    assert torch.equal(steps, steps.round())
    assert steps.min() >= -128
    assert steps.max() <= 127


def test_turning_moves_a_channel_to_its_neighbours_and_keeps_its_energy() -> None:
    x = torch.zeros(500, 8, 1, 3)
    x[:, 3] = 100 / 128
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        turned = augment(x, Augmentation(turn=0.5)) * 128
    torch.testing.assert_close(turned.square().sum(1), torch.full((500, 1, 3), 1e4), rtol=0.02, atol=0)
    places = [tuple(np.flatnonzero(window)) for window in turned[:, :, 0, 0].numpy()]
    assert {place for place in places if len(place) == 2} >= {(2, 3), (3, 4)}
    assert all(len(place) == 1 or place[1] - place[0] in (1, 7) for place in places)
    centre = (turned[:, :, 0, 0].square() / 1e4) @ torch.arange(8.0)
    assert abs(float(centre.mean()) - 3) < 0.1
    assert 0.4 < float(centre.std()) < 0.65
