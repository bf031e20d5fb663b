"""Post-training quantization: activation scales and bias correction from windows the network has seen."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

import torch
from torch import nn

with warnings.catch_warnings():
    # What Brevitas says of its own parts on import: nothing here uses brevitas.fx or Hadamard rotations.
    warnings.filterwarnings("ignore", "brevitas.fx is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
    from brevitas.core.quant import RescalingIntQuant
    from brevitas.core.scaling import ParameterFromRuntimeStatsScaling
    from brevitas.graph.calibrate import (
        bias_correction_mode,
        calibration_mode,
        quantization_status_manager,
    )

Method = Literal["percentile", "mse"]
METHODS: Final[tuple[Method, ...]] = ("percentile", "mse")
SAMPLES: Final = 1 << 15
"""Values of an activation that the search for the least error takes of each batch."""
RANGES: Final = 80
"""Ranges that the search tries, from an 80th of the largest value seen to all of it."""


def calibrate(
    model: nn.Module,
    windows: torch.Tensor,
    context: torch.Tensor | None = None,
    *,
    batch: int = 512,
    method: Method = "percentile",
) -> None:
    """Set a quantized network's activation scales to suit what they see, then correct its biases.

    Args:
        model: network of float weights and unset activation scales; left in evaluation mode.
        windows: float32 [N, C, H, W]; a thousand or more, of the training set only.
        context: float32 [N, F] for a model that takes a context vector.
        batch: windows a step; the percentile is averaged over the steps.
        method: percentile: each scale clips the share of values that the network was made with; mse: each has
            the least squared error of rounding and clipping together.
    """
    model.eval()
    parts: list[tuple[torch.Tensor, ...]] = [(part,) for part in windows.split(batch)]
    if context is not None:
        parts = [(*part, vectors) for part, vectors in zip(parts, context.split(batch), strict=True)]
    with torch.no_grad():
        with _samples(model) as seen, calibration_mode(model):
            for part in parts:
                model(*part)
        if method == "mse":
            for quantizer, values in seen.items():
                set_scale(quantizer, best_scale(torch.cat(values), *limits(quantizer)))
        with bias_correction_mode(model):
            for part in parts:
                model(*part)
    model.eval()


@contextmanager
def in_float(model: nn.Module) -> Iterator[None]:
    """Let a quantized network compute without any rounding, gradients left out; it is in evaluation mode."""
    model.eval()
    with (
        torch.no_grad(),
        quantization_status_manager(
            model,
            disable_act_quant=True,
            disable_weight_quant=True,
            disable_bias_quant=True,
            call_act_quantizer_impl=False,
            is_training=False,
        ),
    ):
        yield


def trained_quantizers(model: nn.Module) -> dict[str, Any]:
    """Activation quantizers of `model` whose scale is not fixed, by their path."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, RescalingIntQuant)
        and isinstance(module.scaling_impl, ParameterFromRuntimeStatsScaling)
    }


def limits(quantizer: Any) -> tuple[int, int]:
    """Least and greatest integer of a quantizer."""
    bits = quantizer.msb_clamp_bit_width_impl()
    return int(quantizer.int_quant.min_int(bits)), int(quantizer.int_quant.max_int(bits))


def set_scale(quantizer: Any, scale: float) -> None:
    """Give a calibrated quantizer another scale: the real value of one step."""
    steps = quantizer.int_scaling_impl(quantizer.msb_clamp_bit_width_impl())
    quantizer.scaling_impl.value.data.fill_(scale * float(steps))


def best_scale(values: torch.Tensor, least: int, greatest: int) -> float:
    """Scale with the least squared error of `values`, rounded and clipped to integers in [least, greatest].

    Args:
        values: float32 [N].
        least: integer.
        greatest: integer.

    Returns:
        the best of `RANGES` that divide the largest value evenly; 0 where all values are 0.
    """
    reach = max(float(values.max()) / greatest, float(values.min()) / least if least else 0.0)
    scales = [reach * (step + 1) / RANGES for step in range(RANGES)]
    if not reach:
        return 0.0
    errors = [
        float((torch.clamp(torch.round(values / scale), least, greatest) * scale - values).square().mean())
        for scale in scales
    ]
    return scales[errors.index(min(errors))]


@contextmanager
def _samples(model: nn.Module) -> Iterator[dict[Any, list[torch.Tensor]]]:
    """What each trained quantizer is called with, flat, `SAMPLES` values a call."""
    order = torch.Generator().manual_seed(0)
    seen: dict[Any, list[torch.Tensor]] = {}

    def keep(quantizer: Any, values: torch.Tensor) -> None:
        flat = values.detach().reshape(-1)
        if len(flat) > SAMPLES:
            flat = flat[torch.randint(len(flat), (SAMPLES,), generator=order)]
        seen.setdefault(quantizer, []).append(flat)

    hooks = [
        quantizer.scaling_impl.register_forward_pre_hook(
            lambda _, inputs, quantizer=quantizer: keep(quantizer, inputs[0])
        )
        for quantizer in trained_quantizers(model).values()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
