"""How the window of a convolution or pool slides over its input."""

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
        first = min(-(-pad // stride), count)
        last = min(max((size - reach + pad) // stride + 1, first), count)
        pads.append(pad)
        inside.append((first, last))
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
