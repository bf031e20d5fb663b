"""The recurrent-convolutional network: its maps, its steps, and its int8 form."""

import numpy as np
import pytest
import torch

from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from quantize.c99 import build_shared
from quantize.calibrate import calibrate
from quantize.forms import lower, quantized, read_graph
from quantize.tflite_writer import write
from tests.quant_models import as_input, windows
from train.models import build
from train.reshape import reshaped

CHANNELS, WINDOW, CLASSES, STEPS, BANDS, GRID = 4, 56, 3, 7, 2, 6
SQUARE = ((-1, -1), (1, -1), (-1, 1), (1, 1))
PARAMS = {"positions": SQUARE, "steps": STEPS, "bands": BANDS, "grid": GRID}


def network(seed: int = 0, context: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build("recurrent_conv", CHANNELS, WINDOW, CLASSES, PARAMS, context).eval()


@pytest.mark.parametrize(("electrode", "corner"), [(0, (0, 0)), (1, (0, -1)), (2, (-1, 0)), (3, (-1, -1))])
def test_an_electrode_shows_where_it_sits(electrode: int, corner: tuple[int, int]) -> None:
    """y grows with the row, x with the column; the band of an electrode shows in that band alone."""
    maps = network().get_submodule("maps")
    bands = torch.zeros(1, CHANNELS * BANDS, 1, 1)
    bands[0, electrode * BANDS + 1] = 1.0
    drawn = maps.get_submodule("6")(maps.get_submodule("5")(bands))[0]
    assert torch.equal(drawn[0], torch.zeros(GRID, GRID))
    assert float(drawn[1][corner]) == float(drawn[1].max())
    every = maps.get_submodule("6")(maps.get_submodule("5")(torch.ones(1, CHANNELS * BANDS, 1, 1)))
    assert torch.allclose(every, torch.ones_like(every))


def test_a_map_is_made_of_its_own_samples_alone() -> None:
    model, x = network(), as_input(windows(1, 3, (WINDOW, CHANNELS)))
    length = WINDOW // STEPS
    with torch.no_grad():
        before = model.get_submodule("maps")(x)
        changed = x.clone()
        changed[..., 2 * length : 3 * length] += 0.3
        after = model.get_submodule("maps")(changed)
    same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same == [step != 2 for step in range(STEPS)]


def test_reshapes_read_values_as_a_device_holds_them() -> None:
    x = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    memory = x.permute(0, 2, 3, 1).numpy().tobytes()
    assert reshaped(x, (5, 2, 3)).permute(0, 2, 3, 1).numpy().tobytes() == memory


@pytest.mark.parametrize("context", [0, 2])
def test_the_file_computes_what_the_quantized_network_does(context: int) -> None:
    model = network(1, context)
    with torch.no_grad():  # fresh weights see next to no difference between windows
        for weight in (*model.get_submodule("lstm").parameters(), *model.get_submodule("dense").parameters()):
            weight.mul_(6)
        for weight in model.get_submodule("vision").parameters():
            weight.mul_(2)
    form = quantized(lower(model, (CHANNELS, 1, WINDOW), context))
    x = windows(200, 5, (WINDOW, CHANNELS))
    beside = (torch.arange(200 * context).reshape(200, -1) % 96 - 48) / 32 if context else None
    given = [as_input(x)] if beside is None else [as_input(x), beside]
    calibrate(form, *given)
    tflite = write(read_graph(form))
    vectors = None if beside is None else (beside * 32).to(torch.int8).numpy()
    reference, native = TfliteEngine(tflite, "reference"), NativeEngine(build_shared(tflite))
    rows = [(one, None if vectors is None else vectors[i]) for i, one in enumerate(x)]
    theirs = np.array([reference.run(*row) for row in rows])
    ours = np.array([native.run(*row) for row in rows])
    assert np.array_equal(ours, theirs)
    with torch.no_grad():
        probabilities = torch.softmax(form(*given), 1).numpy()
    wanted = np.clip(np.rint(probabilities * 256) - 128, -128, 127)
    assert np.abs(wanted - theirs).max() <= 1  # the softmax apart nothing differs
    assert len(np.unique(theirs, axis=0)) > 20


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"steps": 5}, "a window of 56 samples is not 5 equal steps"),
        ({"positions": ((0, 0),)}, "1 positions for 4 channels"),
    ],
)
def test_what_does_not_fit_is_a_sentence(params: dict[str, object], sentence: str) -> None:
    with pytest.raises(InnervateError, match=sentence):
        build("recurrent_conv", CHANNELS, WINDOW, CLASSES, params)
