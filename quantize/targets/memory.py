"""How much memory an interpreter needs for a model."""

from itertools import accumulate

from quantize.tflite_model import Model, Operator

# TensorFlow Lite Micro places tensors on 16 bytes.
_ALIGNMENT = 16
# Bytes that it keeps on a 32-bit processor, fitted to what five models needed under emulation of a Cortex-M4:
# in all, a tensor, an operator, an output channel of a convolution (multiplier and shift), and the state and
# gates of an LSTM.
_BASE, _TENSOR, _OPERATOR, _CHANNEL, _LSTM = 900, 12, 70, 8, 1800
_ITEM_BYTES = {"BOOL": 1, "INT8": 1, "UINT8": 1, "INT16": 2, "FLOAT16": 2, "INT64": 8, "FLOAT64": 8}


def _bytes(model: Model, index: int) -> int:
    tensor = model.tensors[index]
    size = tensor.size * _ITEM_BYTES.get(tensor.dtype, 4)
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def fullest_step(model: Model) -> int:
    """Return the most bytes of what is computed or fed, inputs and outputs included, at any one time."""
    steps = len(model.operators)
    first, last = dict.fromkeys(model.inputs, 0), dict.fromkeys(model.inputs, 0)
    for operator in model.operators:
        for index in operator.outputs:
            first[index] = last[index] = operator.position
        for index in operator.inputs:
            if index in first:
                last[index] = operator.position
    last.update({index: steps - 1 for index in model.outputs if index in first})
    change = [0] * (steps + 1)
    for index in first:
        change[first[index]] += _bytes(model, index)
        change[last[index] + 1] -= _bytes(model, index)
    return max(accumulate(change))


def _channels(model: Model, operator: Operator) -> int:
    shape = model.tensors[operator.outputs[0]].shape if operator.outputs else ()
    return shape[-1] if "CONV" in operator.name and shape else 0


def interpreter_arena(model: Model) -> int:
    """Return an estimate of the arena that TensorFlow Lite Micro needs, bytes."""
    lstms = sum(operator.name.endswith("LSTM") for operator in model.operators)
    return (
        fullest_step(model)
        + sum(_bytes(model, t.index) for t in model.tensors if t.variable)
        + _BASE
        + _TENSOR * len(model.tensors)
        + _OPERATOR * len(model.operators)
        + _CHANNEL * sum(_channels(model, operator) for operator in model.operators)
        + _LSTM * lstms
    )
