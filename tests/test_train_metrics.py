"""Figures against scikit-learn, published examples and plain loops."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from edge.decision import DecisionRule
from tests.test_train_windows import plain_path, window_set
from train.baseline import band_powers, predict_floor, time_domain
from train.delay import budget
from train.metrics import bootstrap_mean, score, wilson


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_figures_of_one_subject_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    y, predicted = (np.array([pair[i] for pair in pairs], np.int64) for i in range(2))
    metrics = score(y, predicted, np.full(len(y), "s"), ("a", "b", "c", "d"), overlap=1)
    occurring = np.unique(y)
    assert metrics.accuracy.value == pytest.approx((y == predicted).mean())
    recalls = [(predicted[y == c] == c).mean() for c in occurring]
    assert metrics.balanced_accuracy.value == pytest.approx(np.mean(recalls))
    expected = f1_score(y, predicted, labels=occurring, average="macro", zero_division=0.0)
    assert metrics.macro_f1.value == pytest.approx(expected)
    np.testing.assert_array_equal(metrics.confusion, confusion_matrix(y, predicted, labels=range(4)))


def test_balanced_accuracy_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    y, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    metrics = score(y, predicted, np.full(200, "s"), ("a", "b", "c"), overlap=1)
    assert metrics.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(y, predicted))


def test_subjects_count_alike() -> None:
    y = np.zeros(110, np.int64)
    predicted = np.r_[np.zeros(100, np.int64), np.ones(10, np.int64)]
    subject = np.array(["a"] * 100 + ["b"] * 10)
    metrics = score(y, predicted, subject, ("x", "y"), overlap=1)
    assert metrics.accuracy.value == pytest.approx(0.5)
    assert [entry.subject for entry in metrics.subjects] == ["a", "b"]
    assert metrics.accuracy.low is None


def test_wilson_solves_its_equation() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for hits, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(hits / trials, trials) == pytest.approx((low, high), abs=5e-5)


def test_overlapping_windows_widen_the_interval() -> None:
    y = np.zeros(100, np.int64)
    subject = np.full(100, "s")
    alone, overlapping = (score(y, y, subject, ("a", "b"), overlap).accuracy for overlap in (1, 4))
    assert overlapping.low is not None
    assert alone.low is not None
    assert overlapping.low < alone.low
    assert overlapping.low == pytest.approx(wilson(1.0, 25)[0])


def test_bootstrap_agrees_with_the_normal_law() -> None:
    values = np.random.default_rng(3).normal(0.8, 0.05, 400)
    low, high = bootstrap_mean(values.tolist())
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=4e-4)
    assert bootstrap_mean(values.tolist()) == (low, high)


def test_features_are_those_of_the_definition() -> None:
    x = np.random.default_rng(2).integers(-128, 128, (3, 20, 2)).astype(np.int8)
    found = time_domain(x)
    for n in range(3):
        for c in range(2):
            w = [int(value) for value in x[n, :, c]]
            slopes = [b - a for a, b in pairwise(w)]
            crossings = sum(a * b < 0 for a, b in pairwise(w))
            turns = sum(a * b < 0 for a, b in pairwise(slopes))
            rms = (sum(v * v for v in w) / 20) ** 0.5
            expected = [
                np.log(sum(map(abs, w)) / 20 + 0.5),
                np.log(rms + 0.5),
                np.log(sum(map(abs, slopes)) / 19 + 0.5),
                crossings / 19,
                turns / 18,
            ]
            np.testing.assert_allclose(found[n, c::2], expected, rtol=1e-5)


def test_band_powers_are_those_of_the_periodogram() -> None:
    x = np.random.default_rng(2).integers(-128, 128, (3, 251, 2)).astype(np.int8)
    found = band_powers(x, 80.0)  # half the rate cuts the last band
    frequency, density = scipy.signal.periodogram(x.astype(float), 80.0, "hann", axis=1)
    for band, (low, high) in enumerate([(0.5, 4), (4, 8), (8, 13), (13, 30), (30, 45)]):
        inside = (frequency >= low) & (frequency < high)
        power = density[:, inside].sum(axis=1) * 80 / 251  # times the width of a bin
        np.testing.assert_allclose(found[:, 2 * band : 2 * band + 2], np.log(power), atol=2e-4)
    assert np.isfinite(band_powers(np.zeros((1, 250, 1), np.int8), 80.0)).all()
    assert band_powers(x[:, :100], 40.0).shape == (3, 8)  # 20 Hz and above are not there


def test_floor_per_subject_uses_only_the_subjects_own_windows() -> None:
    rng = np.random.default_rng(0)
    windows = window_set([(s, f"{s}/1", n, n % 2) for s in "ab" for n in range(60)])
    loud = np.where((windows.y == 1) ^ (windows.subject == "b"), 90, 10)  # b's classes are swapped
    x = np.clip(rng.normal(0, 1, windows.x.shape) * loud[:, None, None], -128, 127).astype(np.int8)
    windows = replace(windows, x=x)
    own = predict_floor(windows, windows, per_subject=True)
    common = predict_floor(windows, windows, per_subject=False)
    assert (own == windows.y).mean() > 0.9
    assert (common == windows.y).mean() < 0.7


def test_delay_is_farrells() -> None:
    path = plain_path(window=20, hop=5)  # 200 ms and 50 ms at 100 Hz
    # D = Ta/2 + n Tnew/2 + tau for an odd number of votes
    for votes in (1, 3, 5):
        found = budget(path, DecisionRule(votes=votes, min_votes=1), compute_ms=4.0)
        assert found.mean_ms == pytest.approx(100 + votes * 25 + 4)
        assert found.worst_ms == pytest.approx(200 + 50 + (votes // 2) * 50 + 4)
    assert budget(path, DecisionRule(votes=3, min_votes=3)).votes_ms == pytest.approx(100)
