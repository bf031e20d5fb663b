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

    `query`, `key` and `value` are float32 [heads, size, C], `bias` of the queries float32 [heads, size] or
    None; what scores are divided by is in the queries already.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    bias: torch.Tensor | None = None

    @property
    def macs(self) -> int:
        """Of the three projections, the scores and the mix."""
        size, heads, tokens = self.shape
        return 3 * tokens * self.query.numel() + 2 * heads * tokens**2 * size

    @property
    def parameters(self) -> int:
        """Of the three projections and the bias."""
        return 3 * self.query.numel() + (0 if self.bias is None else self.bias.numel())

    def module(self, percentile: float) -> nn.Module:
        """Make the fake-quantized attention."""
        return QuantAttention({name: getattr(self, name) for name in PROJECTIONS}, self.bias, percentile)

    def write(self, graph: "GraphBuilder", module: Any, tensor: int, source: Any, output: Any) -> int:
        """Add five products and a softmax; values come late, so that fewer tensors are alive at once."""
        size, heads, tokens = self.shape
        with torch.no_grad():
            values = module.values(source)

        def product(name: str, first: int, second: int, width: int, transposed: bool) -> int:
            path = self.name if name == "mixed" else f"{self.name}.{name}"
            made = graph.value(path, (1, heads, tokens, width), values[name])
            graph.layers.append(QuantLayer("matmul", path, (first, second), made, transposed=transposed))
            return made

        def projection(name: str) -> int:
            weight = module.kernels[name].quant_weight()
            data = weight.int().numpy().astype(np.int8).reshape(1, heads, size, -1)
            constant = Tensor(f"{self.name}.{name}.weight", data.shape, float(weight.scale), 0, data=data)
            return product(name, tensor, graph.add(constant), size, transposed=True)

        def query() -> int:
            made = projection("query")
            if module.bias is None:
                return made
            steps, scale = module.bias_integers()
            data = steps.numpy().astype(np.int8)[None]
            constant = graph.add(Tensor(f"{self.name}.query.bias", data.shape, float(scale), 0, data=data))
            name = f"{self.name}.biased"
            biased = graph.value(name, (1, heads, tokens, size), values["biased"])
            graph.layers.append(QuantLayer("add", name, (made, constant), biased))
            return biased

        with torch.no_grad():
            scores = product("scores", query(), projection("key"), tokens, transposed=True)
            name = f"{self.name}.shares"
            shares = graph.add(
                Tensor(name, (1, heads, tokens, tokens), PROBABILITY_SCALE, SOFTMAX_ZERO_POINT)
            )
            graph.layers.append(QuantLayer("softmax", name, (scores,), shares))
            return product("mixed", shares, projection("value"), size, transposed=False)
