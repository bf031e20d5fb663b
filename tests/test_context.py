"""The context vector: quantized as exact fractions say, and a sentence for what is not known."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.context import FIELDS_MAX, ContextField, check_fields, numbers, quantize, vector
from edge.errors import InnervateError

FIELDS = (ContextField("age_years", 41.5, 12.25), ContextField("sex_male", 0.5, 0.5))


def exact(field: ContextField, value: float) -> Fraction:
    """32nds of deviations from the mean, without rounding."""
    return (Fraction(value) - Fraction(field.mean)) / Fraction(field.deviation) * 32


@example(41.5, 12.25, 41.5 + 12.25 * 4)
@example(41.5, 12.25, 41.5 - 12.25 * 4)
@example(0.0, 32.0, 0.5)
@example(0.0, 32.0, -2.5)
@example(0.0, 1e-300, 1e300)
@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_rounded_half_away_and_saturated(mean: float, deviation: float, value: float) -> None:
    field = ContextField("x", mean, deviation)
    steps = exact(field, value)
    away = math.floor(abs(steps) + Fraction(1, 2)) * (1 if steps > 0 else -1)
    got = int(quantize([field], {"x": value})[0])
    assert -128 <= got <= 127
    # float64 may take a value within 1e-9 of a half to the other side of it
    near_half = abs(abs(steps) % 1 - Fraction(1, 2)) < Fraction(1, 10**9) * (1 + abs(steps))
    assert got == max(-128, min(127, away)) or (near_half and abs(got - steps) < 1)


def test_known_values() -> None:
    assert quantize(FIELDS, {"age_years": 63, "sex_male": 1}).tolist() == [56, 32]
    assert quantize(FIELDS, {"sex_male": 0}).tolist() == [0, -32]
    assert quantize(FIELDS, {"age_years": None}).tolist() == [0, 0]
    assert quantize((), {}).shape == (0,)
    assert vector(FIELDS, None).tolist() == [0, 0]
    assert vector(FIELDS, {"age_years": 41.5 + 12.25}).tolist() == [32, 0]


def test_a_vector_is_copied() -> None:
    given_ = np.array([1, 2], np.int8)
    got = vector(FIELDS, given_)
    given_[0] = 9
    assert got.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"heigth": 1.8}, r"takes no context heigth .*Give age_years, sex_male"),
        ({"age_years": math.nan}, r"nan is no value \(context age_years\)"),
        ({"age_years": math.inf}, "inf is no value"),
    ],
)
def test_values_that_cannot_be(values: dict[str, float | None], sentence: str) -> None:
    with pytest.raises(InnervateError, match=sentence):
        quantize(FIELDS, values)


def test_vectors_that_cannot_be() -> None:
    wrongs: list[Any] = [np.zeros(3, np.int8), np.zeros(2, np.int16), np.zeros((1, 2), np.int8)]
    for wrong in wrongs:
        with pytest.raises(InnervateError, match=r"where int8 \[2\] belongs"):
            vector(FIELDS, wrong)


def test_facts_of_a_recording() -> None:
    facts = {"age_years": "63", "sex_male": "", "rows_per_s": "999.7"}
    assert numbers(FIELDS, facts) == {"age_years": 63.0, "sex_male": None}
    assert numbers(FIELDS, {}) == {"age_years": None, "sex_male": None}
    for word in ("old", "nan", "inf"):
        with pytest.raises(InnervateError, match=rf"'{word}' is no number \(context age_years\)"):
            numbers(FIELDS, {"age_years": word})


@pytest.mark.parametrize(
    "fields",
    [
        [ContextField("", 0, 1)],
        [ContextField("a", 0, 1), ContextField("a", 1, 2)],
        [ContextField("a", 0, 0)],
        [ContextField("a", 0, -1)],
        [ContextField("a", math.nan, 1)],
        [ContextField("a", 0, math.inf)],
        [ContextField(f"f{i}", 0, 1) for i in range(FIELDS_MAX + 1)],
    ],
)
def test_fields_that_cannot_be(fields: list[ContextField]) -> None:
    with pytest.raises(InnervateError, match=r"context fields|must be finite"):
        check_fields(fields)
