"""Whether a model on a device is better run hop by hop than window by window."""

from typing import Final

from edge.errors import InnervateError
from edge.signal_path import SignalPath
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.streaming.stream import stream
from quantize.tflite_reader import read_model

_WORTH: Final = 0.75
"""Keeping what windows share costs memory: a push has to need at most this part of a window's products."""


def saving_hop(tflite: bytes, path: SignalPath, target: str) -> int | None:
    """Return the path's hop in samples if pushes of it save at least a quarter of the multiply-accumulates.

    None for any other model: one that keeps states, or takes features, or whose windows do not overlap.

    Args:
        tflite: the model's file.
        path: makes its windows.
        target: a key of `quantize.c99.kernels.TARGETS`.

    Raises:
        InnervateError: the file cannot be compiled.
    """
    family = find_target(target).family
    program = lower(read_model(tflite))
    samples_in_rows = program.model.tensors[program.model.inputs[0]].shape[-1] == len(path.outputs)
    if path.features is not None or path.hop >= path.window or not samples_in_rows:
        return None
    try:
        _, streaming = stream(program, path.hop, family, "model")
    except InnervateError:
        return None
    flow = streaming.source
    if flow.outer != 1 or flow.columns != path.window:
        return None
    macs = sum(step.macs for step in program.steps)
    return path.hop if streaming.macs <= _WORTH * macs else None
