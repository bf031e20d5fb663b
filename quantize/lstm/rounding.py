"""Rounding as TFLite's kernels do it, on integers held in floats, with gradients passed straight through."""

import torch


def twice_rounded(x: torch.Tensor, multipliers: torch.Tensor) -> torch.Tensor:
    """Integers times multipliers, by TFLite's `MultiplyByQuantizedMultiplier`.

    That rounds times 0.5 to 1, and again by a power of two: where it halves often, one value in some hundreds
    ends a step from the nearest.

    Args:
        x: integers, below 2^31.
        multipliers: float64, float32 values.
    """
    with torch.no_grad():
        mantissa, exponent = torch.frexp(multipliers)
        mantissa = torch.round(mantissa * 2.0**31) * 2.0**-31  # as the kernels hold it
        left, right = 2.0 ** exponent.clamp(min=0), 2.0 ** exponent.clamp(max=0)
        # The first rounding is that of a doubled high product: halves upwards.
        rounded = half_away(torch.floor(x.double() * left * mantissa + 0.5) * right)
    return straight_through(x * multipliers, rounded)


def half_away(x: torch.Tensor) -> torch.Tensor:
    """Nearest integers, halves away from zero; without gradient."""
    return torch.sign(x) * torch.floor(x.abs() + 0.5)


def straight_through(x: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """`rounded`, with the gradient of `x`."""
    return x + (rounded - x).detach() if x.requires_grad else rounded
