"""How the window of a convolution or pool slides over its input."""

from collections.abc import Mapping
from math import prod

from quantize.c99.context import Context
from quantize.tflite_model import ConvOptions, PoolOptions
from quantize.tflite_rules import window_extent


def window(
    c: Context, options: ConvOptions | PoolOptions, kernel: tuple[int, int], output: tuple[int, ...]
) -> dict[str, int]:
    """Return an `nrv_window_t`."""
    batches, in_h, in_w, _ = c.inputs[0].shape
    dilation = options.dilation if isinstance(options, ConvOptions) else (1, 1)
    pads, inside = [], []
    for axis, size in enumerate((in_h, in_w)):
        stride, reach = options.stride[axis], (kernel[axis] - 1) * dilation[axis] + 1
        count, pad = window_extent(size, kernel[axis], stride, dilation[axis], options.padding)
        pads.append(pad)
        inside.append(_inside(size, count, reach, stride, pad))
    return {
        "batches": batches,
        "in_h": in_h,
        "in_w": in_w,
        "out_h": output[1],
        "out_w": output[2],
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": options.stride[0],
        "stride_w": options.stride[1],
        "dilation_h": dilation[0],
        "dilation_w": dilation[1],
        "pad_top": pads[0],
        "pad_left": pads[1],
        "inside_top": inside[0][0],
        "inside_bottom": inside[0][1],
        "inside_left": inside[1][0],
        "inside_right": inside[1][1],
        "input_zero": c.inputs[0].zero_point,
    }


def _inside(size: int, count: int, reach: int, stride: int, pad: int) -> tuple[int, int]:
    """Return which of `count` windows lie inside the input: the first, and the one behind the last."""
    first = min(max(-(-pad // stride), 0), count)
    return first, min(max((size - reach + pad) // stride + 1, first), count)


def along(
    window: Mapping[str, int], axis: str, *, size: int, count: int, pad: int, stride: int, dilation: int
) -> dict[str, int]:
    """Return a window whose axis "h" or "w" has other extents.

    Args:
        window: as `window` returns it.
        axis: of the two.
        size: of the input.
        count: of the output.
        pad: how far the first window starts before the input; negative: within it.
        stride: from window to window.
        dilation: from tap to tap.
    """
    low, high = ("top", "bottom") if axis == "h" else ("left", "right")
    reach = (window[f"kernel_{axis}"] - 1) * dilation + 1
    first, last = _inside(size, count, reach, stride, pad)
    return {
        **window,
        f"in_{axis}": size,
        f"out_{axis}": count,
        f"stride_{axis}": stride,
        f"dilation_{axis}": dilation,
        f"pad_{low}": pad,
        f"inside_{low}": first,
        f"inside_{high}": last,
    }


def one_row(window: Mapping[str, int]) -> dict[str, int]:
    """Return windows of one tap, one for each pixel, as windows along a single row; others as they are."""
    steps = {window[f"{name}_{axis}"] for name in ("kernel", "stride") for axis in "hw"}
    if steps != {1} or any(window[f"in_{axis}"] != window[f"out_{axis}"] for axis in "hw"):
        return dict(window)
    pixels = prod(window[name] for name in ("batches", "out_h", "out_w"))
    row = {"batches": 1, "in_h": 1, "out_h": 1, "in_w": pixels, "out_w": pixels}
    return {**window, **row, "inside_bottom": 1, "inside_right": pixels}
