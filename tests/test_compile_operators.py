"""Every operator by itself against the TFLite reference kernels: random shapes, scales and options."""

from pathlib import Path

import pytest

from tests.conformance import FAMILIES, compare, run_sanitized
from tests.random_networks import random_network
from tests.random_operators import OPERATORS, random_operators

FEW, MANY = 60, 2000  # of each kind
BATCH = 100  # in one file


@pytest.mark.parametrize("target", FAMILIES)
def test_operators(target: str, tmp_path: Path) -> None:
    compare({name: random_operators(name, 0, FEW) for name in OPERATORS}, target, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", FAMILIES)
@pytest.mark.parametrize("name", OPERATORS)
def test_operator_often(name: str, target: str, tmp_path: Path) -> None:
    files = {
        f"{name}_{first}": random_operators(name, first, BATCH) for first in range(1000, 1000 + MANY, BATCH)
    }
    compare(files, target, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", FAMILIES)
def test_sanitizers(target: str, tmp_path: Path) -> None:
    """No undefined behaviour and no access outside any array."""
    files = {name: random_operators(name, 5000, 25) for name in OPERATORS}
    files |= {f"network_{seed}": random_network(seed) for seed in range(5000, 5025)}
    run_sanitized(files, target, tmp_path)
