"""Self-attention as a layer of a lowered network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from quantize.attention.module import PROJECTIONS, QuantAttention
from quantize.attention.softmax import PROBABILITY_SCALE
from quantize.graph import SOFTMAX_ZERO_POINT, QuantLayer, Tensor
from quantize.network import Fused

if TYPE_CHECKING:
    from quantize.builder import GraphBuilder


@dataclass(frozen=True)
class Attention(Fused):
    """What each head makes of the tokens (C, 1, T): (size, heads, T), before the projection that joins them.

    `query`, `key` and `value` are float32 [heads, size, C]; what scores are divided by is in `query`.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor

    @property
    def macs(self) -> int:
        """Of the three projections, the scores and the mix."""
        size, heads, tokens = self.shape
        return tokens * self.parameters + 2 * heads * tokens**2 * size

    @property
    def parameters(self) -> int:
        """Of the three projections."""
        return 3 * self.query.numel()

    def module(self, percentile: float) -> nn.Module:
        """Make the fake-quantized attention."""
        return QuantAttention({name: getattr(self, name) for name in PROJECTIONS}, percentile)

    def write(self, graph: "GraphBuilder", module: Any, tensor: int, source: Any, output: Any) -> int:
        """Add five products and a softmax; values come last, so that fewer tensors are alive at once."""
        size, heads, tokens = self.shape
        with torch.no_grad():
            values = module.values(source)

        def product(name: str, first: int, second: int, width: int, transposed: bool) -> int:
            made = graph.value(f"{self.name}.{name}", (1, heads, tokens, width), values[name])
            graph.layers.append(
                QuantLayer("matmul", f"{self.name}.{name}", (first, second), made, transposed=transposed)
            )
            return made

        def projection(name: str) -> int:
            weight = module.kernels[name].quant_weight()
            data = weight.int().numpy().astype(np.int8).reshape(1, heads, size, -1)
            constant = Tensor(f"{self.name}.{name}.weight", data.shape, float(weight.scale), 0, data=data)
            return product(name, tensor, graph.add(constant), size, transposed=True)

        with torch.no_grad():
            scores = product("scores", projection("query"), projection("key"), tokens, transposed=True)
            name = f"{self.name}.shares"
            shares = graph.add(
                Tensor(name, (1, heads, tokens, tokens), PROBABILITY_SCALE, SOFTMAX_ZERO_POINT)
            )
            graph.layers.append(QuantLayer("softmax", name, (scores,), shares))
            return product("mixed", shares, projection("value"), size, transposed=False)
