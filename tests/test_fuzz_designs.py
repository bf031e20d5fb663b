"""A few seconds of `make fuzz`'s random filter lists, the same each time."""

from collections.abc import Sequence

import pytest

from edge import Filter
from tests import fuzz_designs
from tests.fuzz_designs import DesignFuzzError, check
from train.filter_design import Design, design


def test_random_lists_of_filters_are_refused_or_run_as_promised() -> None:
    accepted = sum(check(seed) for seed in range(12))
    assert 3 <= accepted <= 11


def test_a_path_that_rounds_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(filters: Sequence[Filter], fs_hz: float, counts_bits: int) -> Design:
        found = design(filters, fs_hz, counts_bits)
        return found._replace(shift=max(0, found.shift - 12))

    monkeypatch.setattr(fuzz_designs, "design", coarse)
    with pytest.raises(DesignFuzzError, match=r"seed \d+: .* above the rounding errors"):
        [check(seed) for seed in range(12)]
