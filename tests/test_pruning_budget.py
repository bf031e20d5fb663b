"""Budgets are met by the file itself, with the least that will do; sensitivity says what it measured."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from edge.errors import InnervateError
from edge.firmware.bench.emulator import available
from innervate.cli import main
from innervate.report.sensitivity import write_sensitivity
from quantize.c99 import emit
from quantize.c99.bench import measure
from quantize.convert import quantize
from quantize.lower import lower
from quantize.pruning import Pruner
from quantize.pruning.budget import cuts_within
from quantize.pruning.cost import Budget, Footprint, check_file, file_footprint, footprint, rough_cost
from quantize.pruning.pruner import Cut
from quantize.pruning.sensitivity import measure_sensitivity, spread
from quantize.pruning.stage import judging, ranking
from tests.quant_models import CLASSES, SHAPE, as_input, file_of, networks, windows
from tests.test_quant_convert import data as recordings
from tests.test_quant_convert import run as trained_run
from train.experiment import predict_classes
from train.run import Run

data, run = recordings, trained_run
NETWORKS = networks()
WINDOWS = as_input(windows(64))
LABELS = torch.arange(64) % CLASSES
needs_emulator = pytest.mark.skipif(not available(), reason="needs gcc-arm-none-eabi and qemu-system-arm")


def macs(pruner: Pruner) -> Callable[[Sequence[Cut]], Footprint]:
    return lambda cuts: footprint(pruner.without(cuts), WINDOWS, Budget(macs=1))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("share", [0.9, 0.6])
def test_no_shorter_beginning_keeps_the_budget(name: str, share: float) -> None:
    pruner = Pruner(NETWORKS[name], WINDOWS, LABELS)
    budget = Budget(macs=int(share * lower(NETWORKS[name], SHAPE).macs))
    savings = pruner.savings(lambda model: float(lower(model, SHAPE).macs))
    for order in (pruner.evenly(), pruner.by_importance(savings)):
        taken = [lower(pruner.without(order[:count]), SHAPE).macs for count in range(len(order) + 1)]
        if taken[-1] > (budget.macs or 0):
            with pytest.raises(InnervateError, match="no pruning keeps the model within its budget"):
                cuts_within(order, budget, macs(pruner))
            continue
        found = cuts_within(order, budget, macs(pruner))
        assert len(found) == next(count for count, each in enumerate(taken) if each <= (budget.macs or 0))


def test_nothing_goes_from_a_model_that_keeps_its_budget() -> None:
    pruner = Pruner(NETWORKS["plain"], WINDOWS, LABELS)
    told: list[tuple[int, int]] = []
    budget = Budget(macs=lower(NETWORKS["plain"], SHAPE).macs)
    assert cuts_within(pruner.evenly(), budget, macs(pruner), lambda *step: told.append(step)) == []
    assert told[-1][0] == told[-1][1]


def test_an_impossible_budget_is_refused_with_what_is_possible() -> None:
    pruner = Pruner(NETWORKS["plain"], WINDOWS, LABELS)
    least = lower(pruner.without(pruner.evenly()), SHAPE).macs
    with pytest.raises(InnervateError, match=f"still takes {least:,} multiply-accumulates of {least - 1:,}"):
        cuts_within(pruner.evenly(), Budget(macs=least - 1), macs(pruner))


def test_instructions_keep_a_reserve() -> None:
    order = Pruner(NETWORKS["plain"], WINDOWS, LABELS).evenly()

    def counted(cuts: Sequence[Cut]) -> Footprint:
        return Footprint(instructions=1000 - 50 * len(cuts))

    assert len(cuts_within(order, Budget(instructions=900), counted)) == 3
    assert len(cuts_within(order, Budget(instructions=910), counted)) == 2


def test_what_a_unit_saves_is_counted_in_what_is_limited() -> None:
    """56 positions of 24 outputs of 4 x 5 weights, then 8 of 24 and 5 of 8."""
    model = nn.Sequential(
        nn.Conv2d(4, 24, (1, 5)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 8), nn.Linear(8, 5)
    )
    pruner = Pruner(model, WINDOWS, LABELS)
    macs, parameters = 56 * 24 * 20 + 8 * 24 + 5 * 8, 24 * 21 + 8 * 25 + 5 * 9
    by_conv, by_dense = (56 * 20 + 8) / macs, (24 + 5) / macs
    of_conv, of_dense = (21 + 8) / parameters, (25 + 5) / parameters

    def savings(budget: Budget) -> list[float]:
        return list(pruner.savings(rough_cost(SHAPE, 0, budget, model)).values())

    for limits in (Budget(macs=1), Budget(instructions=1), Budget(arena=1)):
        assert savings(limits) == pytest.approx([by_conv, by_dense])
    assert savings(Budget(flash=1)) == pytest.approx([of_conv, of_dense])
    assert savings(Budget(flash=1, instructions=1)) == pytest.approx([by_conv + of_conv, by_dense + of_dense])


def test_a_finished_file_over_its_budget_is_refused() -> None:
    file = file_of(NETWORKS["plain"])
    arena = file_footprint(file, SHAPE[2], Budget(arena=1)).arena
    assert arena is not None
    assert check_file(file, SHAPE[2], Budget(arena=arena)).arena == arena
    with pytest.raises(InnervateError, match=f"takes {arena:,} bytes of arena of {arena - 1:,}"):
        check_file(file, SHAPE[2], Budget(arena=arena - 1))


def test_a_target_without_an_emulator_counts_no_instructions() -> None:
    budget = Budget(instructions=1000, target="cortex-a72")
    with pytest.raises(InnervateError, match="no emulator counts instructions of cortex-a72"):
        file_footprint(file_of(NETWORKS["plain"]), SHAPE[2], budget)


@needs_emulator
def test_the_bundle_keeps_every_limit(run: Run, tmp_path: Path) -> None:
    before = footprint(run.model(), ranking(run)[0][:16], Budget(instructions=1))
    assert before.flash is not None
    assert before.arena is not None
    assert before.instructions is not None
    budget = Budget(
        flash=before.flash * 9 // 10,
        arena=before.arena * 9 // 10,
        instructions=before.instructions * 6 // 10,
    )
    result = quantize(run, tmp_path / "x.nrv", budget=budget, fast=True)
    (tmp_path / "x.tflite").write_bytes(result.bundle.model)
    after = measure(tmp_path / "x.tflite", "mps2-an386", "cortex-m4")
    report = emit(result.bundle.model, "model", tmp_path / "c", "cortex-m4")
    assert report.flash_bytes is not None
    assert report.flash_bytes <= (budget.flash or 0)
    assert report.arena_bytes <= (budget.arena or 0)
    assert after.instructions <= (budget.instructions or 0)
    assert result.footprint == Footprint(
        after.macs, report.flash_bytes, report.arena_bytes, after.instructions
    )
    assert result.metrics.int8.accuracy.value > 0.9
    card = result.bundle.card["quantization"]
    assert card["pruning"]["budget"]["instructions"] == budget.instructions
    assert sum(card["pruning"]["removed"].values()) > 0
    assert card["footprint"]["instructions"] == after.instructions
    assert json.loads(json.dumps(result.to_json()))["footprint"]["flash"] == report.flash_bytes


def test_sensitivity_is_of_each_layer_alone(run: Run, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = measure_sensitivity(run, lambda *step: told.append(step))
    model = run.model()
    judged = judging(run, model)
    assert found.accuracy == pytest.approx((predict_classes(model, judged) == judged.y).mean())
    assert found.windows == len(judged)
    assert found.part == ("validation" if len(run.windows("valid")) else "training")
    assert [layer.size for layer in found.layers] == [12, 16]
    for layer in found.layers:
        assert layer.points[0].accuracy == found.accuracy
        assert [point.removed for point in layer.points] == sorted({p.removed for p in layer.points})
        assert all(point.fraction == point.removed / layer.size for point in layer.points)
        assert list(np.diff([point.macs for point in layer.points]) < 0) == [True] * (len(layer.points) - 1)
        assert layer.spare(1.0) == layer.points[-1]
    assert told[-1][1] == told[-1][2]
    page = write_sensitivity(run, found, tmp_path / "page.html").read_text("utf-8")
    assert page.count("<svg") == 2
    for layer in found.layers:
        assert f"{layer.layer} Conv2d, {layer.size} channels" in page


@pytest.mark.parametrize("count", [1, 2, 11, 12, 13, 31, 63])
def test_points_are_spread_over_all_cuts(count: int) -> None:
    points = spread(count)
    assert points[-1] == count
    assert len(points) == min(count, 12)
    gaps = np.diff([0, *points])
    assert gaps.max() - gaps.min() <= 1


def test_the_verb_prints_all_points_and_writes_the_page(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    monkeypatch.setattr(
        "sys.argv", ["innervate", "sensitivity", str(run.folder), "--json", "--out", str(page)]
    )
    assert ended() == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(msgspec.json.encode(measure_sensitivity(run)))
    assert "What can each layer spare?" in page.read_text("utf-8")


@pytest.mark.parametrize("limit", ["--max-flash", "--max-arena", "--max-macs", "--max-instructions"])
def test_a_share_and_a_limit_are_too_much(
    limit: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["innervate", "quantize", "run", "--out", "x", "--prune", "0.1", limit, "9"]
    )
    assert ended() == 2
    assert "Give one of them" in capsys.readouterr().err


def ended() -> int:
    """Exit status of the command line."""
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("option", [("--prune", "0.1"), ("--max-macs", "9")])
def test_a_model_from_elsewhere_is_not_pruned(
    option: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(file_of(NETWORKS["plain"]))
    monkeypatch.setattr("sys.argv", ["innervate", "quantize", str(file), "--out", "x.nrv", *option])
    assert ended() == 2
    assert "A model from elsewhere is made int8 as it is" in capsys.readouterr().err
