"""How a network becomes int8: calibration, equalization, fine-tuning, and which layers keep 16 bits."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from edge.context import SCALE as CONTEXT_SCALE
from edge.errors import InnervateError
from quantize import forms
from quantize.calibrate import Method, calibrate, in_float
from quantize.equalize import equalize
from quantize.network import Network
from quantize.noise import Noise, measure_noise
from quantize.qat import QuantNetwork
from train.sequences import NONE, rows, take
from train.windows import WindowSet

Mode = Literal["ptq", "qat"]


CALIBRATION_WINDOWS: Final = 4096
NOISE_WINDOWS: Final = 512
STATE_ROW: Final = 8
"""Windows in a row for a network that keeps its state, in calibration."""


class Recipe(msgspec.Struct, frozen=True):
    """Choices of a conversion.

    Attributes:
        mode: ptq calibrates only; with qat the quantized network then learns from the float one.
        calibration: how activation scales are chosen.
        equalize: first give the channels of each activation equal ranges.
        int16: layers whose input and output have 16 bits.
    """

    mode: Mode = "qat"
    calibration: Method = "percentile"
    equalize: bool = False
    int16: tuple[str, ...] = ()


class CalibrationSet(msgspec.Struct, frozen=True):
    """What scales were chosen on.

    Attributes:
        sha256: of the int8 windows [N, window, channels] in C order, then of the int8 context vectors [N, F].
        windows: N.
        recordings: which they are from.
    """

    sha256: str
    windows: int
    recordings: tuple[str, ...]


def calibration_set(windows: WindowSet) -> CalibrationSet:
    """Say which windows were used: who has the recordings can tell whether theirs are the same."""
    digest = hashlib.sha256(windows.x.tobytes())
    digest.update(context_int8(windows).tobytes())
    return CalibrationSet(digest.hexdigest(), len(windows), tuple(sorted(set(windows.recording.tolist()))))


def context_int8(windows: WindowSet) -> NDArray[np.int8]:
    """Context vectors as a device holds them, int8 [N, F]."""
    vectors: NDArray[np.int8] = np.rint(windows.context / CONTEXT_SCALE).astype(np.int8)
    return vectors


def chosen_windows(windows: WindowSet, form: Any, seed: int) -> NDArray[np.int64]:
    """Draw windows for calibration without putting any back: indices int64 [M, S].

    S is 1, but for a network that keeps its state windows in a row, so that states are seen which a window
    alone does not come to.
    """
    length = STATE_ROW if has_sequence(form) else 1
    found = rows(windows.recording, length) if length > 1 else np.arange(len(windows))[:, None]
    whole = found[(found != NONE).all(axis=1)]
    found = whole if len(whole) else found[:, :1]
    drawn = np.random.default_rng(seed).permutation(len(found))[: CALIBRATION_WINDOWS // length]
    return found[np.sort(drawn)]


def has_sequence(form: Any) -> bool:
    """Whether a form computes windows in a row with its state kept between them."""
    return bool(getattr(form, "keeps_state", False)) and hasattr(form, "sequence")


@dataclass(frozen=True)
class Prepared:
    """A calibrated form.

    Attributes:
        network: float weights that it was made of.
        form: fake-quantized network.
        trained: the same, not calibrated: what it computes in float are the values before quantization.
        inputs: what it was calibrated on: windows float32 [M, C, H, W], and context [M, F] if any.
        calibration: the same for the record.
    """

    network: forms.Lowered
    form: forms.Quantized
    trained: forms.Quantized
    inputs: tuple[torch.Tensor, ...]
    calibration: CalibrationSet

    def noise(self) -> Noise:
        """Ratios of every layer on the first calibration windows."""
        return measure_noise(self.trained, self.form, *(part[:NOISE_WINDOWS] for part in self.inputs))


def prepare(network: forms.Lowered, recipe: Recipe, windows: WindowSet, seed: int) -> Prepared:
    """Make the fake-quantized form of a lowered network and calibrate it.

    Args:
        network: with float weights.
        recipe: see there.
        windows: of the training part; some are drawn.
        seed: of the drawing.

    Raises:
        InnervateError: a layer of `recipe.int16` that is not there or cannot have 16 bits.
    """
    form = forms.quantized(network, int16=recipe.int16)
    chosen = chosen_windows(windows, form, seed)
    x, context, _ = take(windows, chosen)
    inputs = (x, context) if context.shape[1] else (x,)
    if recipe.equalize and isinstance(network, Network) and isinstance(form, QuantNetwork):
        with in_float(form):
            values = form.values(*(part[:NOISE_WINDOWS] for part in inputs))
        network = equalize(network, values)
        form = forms.quantized(network, int16=recipe.int16)
    calibrate(form, *inputs, method=recipe.calibration)
    drawn = windows.select(chosen.reshape(-1))
    trained = forms.quantized(network, int16=recipe.int16)
    return Prepared(network, form, trained, inputs, calibration_set(drawn))


def worst_layer(prepared: Prepared) -> str:
    """Path of the layer that hurts most among those that can have 16 bits.

    Raises:
        InnervateError: there is none.
    """
    can = forms.can_be_int16(prepared.network)
    for layer in prepared.noise().ranked:
        if layer.layer in can:
            return layer.layer
    raise InnervateError(
        "no layer of this network can have 16-bit activations", "--int16", "Leave the option out"
    )
