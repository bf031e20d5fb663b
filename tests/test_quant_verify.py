"""The table of executors: figures from outputs made by hand, and every form of network through it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edge.engines import Engine
from edge.errors import InnervateError
from quantize import verify as table
from quantize.executors import FAKE, GENERATED, REFERENCE, TFLM, executors, version_of
from quantize.forms import lower, read_graph
from quantize.recipe import Recipe, prepare
from quantize.tflite_writer import write
from quantize.tflm_engine import TflmEngine
from quantize.verify import run_windows, verify
from tests.quant_models import as_input, window_set, windows
from train.models import build
from train.recording import UNMARKED

CHANNELS, WINDOW, CLASSES = 4, 48, 3


class Said(nn.Module):
    """Gives probabilities that were set down beforehand, int8 [N, K], as logits."""

    def __init__(self, outputs: NDArray[np.int8]) -> None:
        super().__init__()
        self.logits = torch.from_numpy(np.log((outputs.astype(np.float32) + 128.001) / 256))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits


class Repeats:
    """An engine that gives outputs set down beforehand, one after the other."""

    name = "repeats"
    input_shape = (1, 1, WINDOW, CHANNELS)
    has_steps, context_size, keeps_state, output_size = False, 0, False, CLASSES

    def __init__(self, outputs: NDArray[np.int8]) -> None:
        self.outputs = iter(outputs)

    def run(self, window: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        return next(self.outputs)

    def reset(self) -> None:
        pass


def made(*shares: tuple[int, int, int]) -> NDArray[np.int8]:
    return (np.array(shares) - 128).astype(np.int8)


def test_figures_are_those_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = made((200, 56, 0), (100, 102, 54), (10, 20, 226), (90, 86, 80), (128, 128, 0))
    other = made((199, 57, 0), (103, 99, 54), (10, 20, 226), (85, 88, 83), (128, 128, 0))
    engines: dict[str, Callable[[], Engine]] = {
        REFERENCE[0]: lambda: Repeats(truth),
        "other": lambda: Repeats(other),
    }
    monkeypatch.setattr(table, "executors", lambda tflite, keeps_state: engines)
    held = replace(window_set(np.zeros((5, WINDOW, CHANNELS), np.int8)), y=np.array([0, 1, 2, 0, UNMARKED]))
    found = verify(Said(truth), Said(truth), b"", held)
    assert (found.windows, found.reference) == (5, REFERENCE[0])
    row = found.row("other")
    assert row.accuracy == 2 / 4  # the third and the first are right, the last has no label
    assert row.max_lsb == 5
    assert row.differing == 7 / 15
    assert row.agreement == pytest.approx(3 / 5)
    assert (row.smallest_gap, row.largest_gap) == (2, 4)
    assert row.largest_gap is not None
    assert row.largest_gap <= 2 * row.max_lsb
    own = found.row(REFERENCE[0])
    assert (own.max_lsb, own.differing, own.agreement, own.smallest_gap) == (0, 0.0, 1.0, None)
    assert found.row("float").max_lsb is None
    assert found.row(FAKE).accuracy == 1.0


def test_without_reference_kernels_there_is_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Engine:
        raise InnervateError("no TFLite runtime", "", "Install one")

    monkeypatch.setattr(table, "executors", lambda tflite, keeps_state: dict.fromkeys(REFERENCE, none))
    held = window_set(np.zeros((3, WINDOW, CHANNELS), np.int8))
    truth = made((200, 56, 0), (100, 102, 54), (10, 20, 226))
    with pytest.raises(InnervateError, match="no TFLite runtime"):
        verify(Said(truth), Said(truth), b"", held)


def test_a_package_that_is_missing_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InnervateError, match=r"not installed \(tflite-micro\)\. pip install --pre 'innervate\[tflm\]'"
    ):
        TflmEngine(b"")


def test_every_executor_has_a_version_or_is_not_installed() -> None:
    for name in executors(b""):
        assert version_of(name) or name == TFLM
    assert version_of(REFERENCE[0])[0].isdigit()


FORMS = [
    ("eegnet", 0, False),
    ("tcn", 2, False),
    ("lstm", 2, False),
    ("lstm", 0, True),
    ("gru", 2, False),
    ("cnn_gru", 0, True),
    ("transformer", 0, False),
]


def spread(model: nn.Module, *given: torch.Tensor) -> None:
    """Give the logits of fresh weights a mean of zero and a deviation of one over windows."""
    last = [
        module
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and "front" not in path
    ][-1]
    with torch.no_grad():
        logits = model(*given)
        factor = 1 / logits.std(dim=0).mean()
        last.bias.copy_(factor * (last.bias - logits.mean(dim=0)))
        last.weight.mul_(factor)


@pytest.mark.parametrize(("family", "context", "keeps_state"), FORMS)
def test_every_form_goes_through_every_executor(family: str, context: int, keeps_state: bool) -> None:
    """Two recordings; a state that is kept begins anew with the second, with every executor alike."""
    torch.manual_seed(3)
    model = build(family, CHANNELS, WINDOW, CLASSES, {}, context, keeps_state).eval()
    with torch.no_grad():  # fresh weights see next to no difference between windows
        for path, parameter in model.named_parameters():
            if "gru" in path or "front" in path:
                parameter.mul_(3)
    x = windows(316, 4, (WINDOW, CHANNELS))
    vectors = ((np.arange(316 * context).reshape(316, context) // 40 % 3 - 1) * 17 / 32).astype(np.float32)
    given = [as_input(x[60:]), *([torch.from_numpy(vectors[60:])] if context else [])]
    spread(model, *given)
    network = lower(model, (CHANNELS, 1, WINDOW), context)
    form = prepare(network, Recipe("ptq"), window_set(x[60:], vectors[60:]), 0).form
    held = replace(window_set(x[:60], vectors[:60]), recording=np.repeat(["a", "b"], 30))
    tflite = write(read_graph(form))
    found = verify(model, form, tflite, held)
    for row in found.rows:
        if row.engine == TFLM and row.missing is not None and "not installed" in row.missing:
            continue
        assert row.missing is None, (row.engine, row.missing)
        assert row.agreement is not None
        assert row.agreement >= 0.85
        if row.max_lsb is not None:
            assert row.largest_gap is None or row.largest_gap <= 2 * row.max_lsb
    assert found.row(GENERATED).max_lsb == 0
    engine = executors(tflite, keeps_state)[REFERENCE[0]]()
    outputs = run_windows(engine, held)
    assert len(np.unique(outputs, axis=0)) > 20
    alone = run_windows(engine, held.select(np.arange(30, 60)))
    assert np.array_equal(outputs[30:], alone)
    if keeps_state:
        assert not np.array_equal(run_windows(executors(tflite)[REFERENCE[0]](), held), outputs)
