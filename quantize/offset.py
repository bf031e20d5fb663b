"""A constant added to a value, such as where in the window a token is: ADD with a constant operand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from quantize.graph import QuantLayer, Tensor
from quantize.kernel_rounding import addition
from quantize.lstm.rounding import straight_through
from quantize.network import Fused
from quantize.quantizers import activation

if TYPE_CHECKING:
    from quantize.builder import GraphBuilder


@dataclass(frozen=True)
class Offset(Fused):
    """Sum with a constant; `constant` float32 (C, H, W), extents of 1 where it repeats."""

    constant: torch.Tensor

    @property
    def macs(self) -> int:
        """None."""
        return 0

    @property
    def parameters(self) -> int:
        """Of the constant."""
        return self.constant.numel()

    def module(self, percentile: float) -> nn.Module:
        """Make the fake-quantized sum."""
        return QuantOffset(self.constant, percentile)

    def write(self, graph: "GraphBuilder", module: Any, tensor: int, source: Any, output: Any) -> int:
        """Add the operator and its constant."""
        with torch.no_grad():
            steps, scale = module.integers()
        data = np.ascontiguousarray(steps.numpy().astype(np.int8).transpose(1, 2, 0))[None]
        constant = graph.add(Tensor(f"{self.name}.constant", data.shape, float(scale), 0, data=data))
        total = graph.value(self.name, graph.tensors[tensor].shape, output)
        graph.layers.append(QuantLayer("add", self.name, (tensor, constant), total))
        return total


class QuantOffset(nn.Module):
    """Fake-quantized sum of values [N, C, H, W] and a constant (C, H, W), to the integer of the kernel."""

    def __init__(self, constant: torch.Tensor, percentile: float) -> None:
        super().__init__()
        self.constant = nn.Parameter(constant.clone())
        self.activation: Any = activation(False, percentile)

    def integers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The constant as int8 values, and the scale of one step."""
        scale = self.constant.detach().abs().amax().clamp(min=torch.finfo(torch.float32).tiny) / 127
        return straight_through(self.constant / scale, torch.round(self.constant / scale)), scale

    def forward(self, x: Any) -> Any:
        """Quantized sum; of a plain tensor, as in calibration, without rounding."""
        if not isinstance(x, IntQuantTensor):
            return self.activation(x + self.constant)
        total = addition(x.value / x.scale, x.scale, *self.integers(), self.activation)
        return self.activation(total)
