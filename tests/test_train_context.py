"""Context of recordings: fitted on those that train, carried by windows, read by every kind of network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge.context import ContextField
from edge.errors import InnervateError
from tests.test_train_windows import plain_path, window_set
from train import models, task
from train.context import fit_fields
from train.corpus import RecordingKey
from train.fit import fit
from train.predict import predict, predict_windows
from train.recording import Annotation, Recording
from train.settings import FitSettings
from train.windows import WindowSet, cut

FIELDS = (ContextField("age_years", 40.0, 10.0), ContextField("sex_male", 0.5, 0.5))


def key(number: int, **facts: str) -> RecordingKey:
    return RecordingKey(f"s{number}", f"s{number}", "1", facts)


def test_fields_are_fitted_on_what_recordings_say() -> None:
    ages = (20.0, 35.0, 71.0)
    keys = [key(n, age_years=str(age), sex_male="1") for n, age in enumerate(ages)] + [key(9, age_years="")]
    age, sex = fit_fields(["age_years", "sex_male"], keys)
    assert (age.name, age.mean, age.deviation) == ("age_years", float(np.mean(ages)), float(np.std(ages)))
    assert sex == ContextField("sex_male", 1.0, 1.0)  # the same in all: how it varies is unknown
    assert fit_fields([], keys) == ()


def test_facts_that_nobody_says_are_refused() -> None:
    with pytest.raises(InnervateError, match=r"No training recording says 'age'.*They say age_years, sex"):
        fit_fields(["age"], [key(0, age_years="3"), key(1, sex="F")])
    with pytest.raises(InnervateError, match=r"No training recording says 'age'.*Leave context out"):
        fit_fields(["age"], [key(0)])
    with pytest.raises(InnervateError, match="'old' is no number"):
        fit_fields(["age_years"], [key(0, age_years="old")])
    with pytest.raises(InnervateError, match="of different names"):
        fit_fields(["age_years", "age_years"], [key(0, age_years="3")])


def test_windows_carry_what_is_known_of_the_person() -> None:
    counts = np.arange(200, dtype=np.int32).reshape(100, 2)
    known: tuple[dict[str, str], ...] = ({"age_years": "63", "sex_male": "1"}, {"age_years": "39"}, {})
    recordings = [
        Recording(
            counts % 100, 100.0, ("a", "b"), 8, f"s{n}", "1", (Annotation(0, 100, "rest"),), context=facts
        )
        for n, facts in enumerate(known)
    ]
    windows = cut(recordings, plain_path(window=20, hop=20), {"rest": 0}, context=FIELDS)
    assert windows.context.dtype == np.float32
    exact = {"s0": [2.3, 1.0], "s1": [-0.1, 0.0], "s2": [0.0, 0.0]}  # what is unknown is the mean
    np.testing.assert_allclose(windows.context, [exact[name] for name in windows.subject], atol=1 / 64)
    steps = windows.context * 32
    np.testing.assert_array_equal(steps, np.rint(steps))
    assert cut(recordings, plain_path(window=20, hop=20), {"rest": 0}).context.shape == (len(windows), 0)


def turned_by_context(count: int, seed: int = 0) -> WindowSet:
    """Windows of one of two levels, which mean one class or the other depending on context."""
    rng = np.random.default_rng(seed)
    blank = window_set([("s", f"s/{n}", 0, 0) for n in range(count)])
    level, other = rng.integers(0, 2, (2, count))
    x = rng.normal(0, 10, (count, 40, 2)) + np.where(level, 60, -60)[:, None, None]
    return replace(
        blank,
        x=np.clip(np.rint(x), -128, 127).astype(np.int8),
        y=(level == other).astype(np.int64),
        context=np.where(other, 1, -1).astype(np.float32)[:, None],
    )


class Product(nn.Module):
    """Tells the classes of `turned_by_context`, which no sum of window and context can."""

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        same = x.mean(dim=(1, 2, 3)) * context[:, 0]
        return torch.stack([-same, same], dim=1)


def test_networks_are_asked_with_the_context_of_each_window() -> None:
    windows = turned_by_context(50)
    said = predict_windows(Product(), windows)
    assert (said.argmax(axis=1) == windows.y).all()
    np.testing.assert_array_equal(said, predict(Product(), windows.x, windows.context))


@pytest.mark.parametrize("name", models.names())
def test_every_network_learns_from_context(name: str) -> None:
    """Where the context alone says the class."""
    windows = turned_by_context(200)
    windows = replace(windows, y=(windows.context[:, 0] > 0).astype(np.int64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.build(name, 2, 40, 2, {"layers": [[4, 5]]} if name == "acharya13" else {}, 1)
    settings = FitSettings(epochs=10, batch_size=20, learning_rate=1e-2, mixup=0.1)
    fit(model, windows, None, settings, seed=0)
    assert (predict_windows(model, windows).argmax(axis=1) == windows.y).mean() > 0.97
    other = replace(windows, context=-windows.context)
    assert (predict_windows(model, other).argmax(axis=1) == windows.y).mean() < 0.1


def test_a_network_refuses_what_it_was_not_built_for() -> None:
    x = torch.zeros(1, 2, 1, 40)
    for name in ("cnn1d", "gru"):
        with_context, without = (models.build(name, 2, 40, 3, {}, count) for count in (2, 0))
        assert with_context(x, torch.zeros(1, 2)).shape == without(x).shape == (1, 3)
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            with_context(x, torch.zeros(1, 3))
    with pytest.raises(InnervateError, match="has no parameter 'context'"):
        models.build("cnn1d", 2, 40, 3, {"context": 2})


def test_a_task_names_its_context_and_whether_state_is_kept(tmp_path: Path) -> None:
    settings = task.load("mental_arithmetic")
    assert settings.plan("eegmat").context == ()
    text = (task.FOLDER / "mental_arithmetic.toml").read_text()
    file = tmp_path / "t.toml"
    for_one = '[datasets.eegmat]\ncontext = ["age_years", "sex_male"]\n'
    file.write_text('context = ["age_years"]\n' + text)
    assert task.load(file).plan("eegmat").context == ("age_years",)
    file.write_text(text.replace("[datasets.eegmat.labels]", for_one + "[datasets.eegmat.labels]"))
    assert task.load(file).plan("eegmat").context == ("age_years", "sex_male")
    for name in ("sequence", "epochs", "batch_size"):
        file.write_text(f"{text}\n[datasets.eegmat.fit]\n{name} = 0\n")
        with pytest.raises(InnervateError, match=f">= 1.*{name}"):
            task.load(file)
    file.write_text("keeps_state = true\n" + text)
    with pytest.raises(InnervateError, match="A state that is kept would see each sample 4 times"):
        task.load(file)
