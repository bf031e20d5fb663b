"""What lowering an operator has at hand."""

from edge.errors import InnervateError
from quantize.tflite_model import Model, Operator
from quantize.tflite_move_rules import box_source

INT32_MAX = (1 << 31) - 1
# Left free below INT32_MAX for adding an output zero point.
_ZERO_POINT_ROOM = 128


class Context:
    """One operator with its tensors at hand."""

    def __init__(self, model: Model, operator: Operator) -> None:
        self.model = model
        self.operator = operator
        self.inputs = tuple(model.tensors[i] for i in operator.inputs if i != -1)
        self.source = model.tensors[box_source(operator)]  # the first input; SPLIT names its axis first
        self.output = model.tensors[operator.outputs[0]]

    def unfit(self, what: str) -> InnervateError:
        """Return the error that says why no integers do for this layer."""
        fix = "Split the layer or quantize it again: such weights, bias or scales are beyond int8"
        return InnervateError(what, self.model.place(self.operator), fix)

    def prove(self, bound: int, shift: int) -> int:
        """Check that an accumulator, shifted to the left for requantization, stays within int32."""
        raised = bound << max(shift, 0)
        if raised + _ZERO_POINT_ROOM > INT32_MAX:
            raise self.unfit(f"A sum of up to {raised} could overflow its 32-bit accumulator")
        return raised
