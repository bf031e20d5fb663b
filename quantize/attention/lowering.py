"""nn.MultiheadAttention as layers of a lowered network, or why it cannot be."""

from typing import Any

import torch
from torch import nn

from edge.errors import InnervateError
from quantize.attention.layer import Attention
from quantize.network import Conv, Shape


def attention_layers(module: nn.MultiheadAttention, path: str, shape: Shape) -> tuple[Attention, Conv]:
    """Copy the weights of a self-attention over tokens of `shape` (channels, 1, tokens).

    Biases of keys are left out: they add the same to all scores of a query, which a softmax does not see.
    Those of values become biases of the projection, for the shares of a query sum to one. Heads that the
    projection does not read are left out.

    Args:
        module: the attention.
        path: its name.
        shape: of what it reads.

    Returns:
        the heads, and a convolution over them that joins them and projects.
    """
    refusals = (
        (not module.batch_first, "attention with time first", "Use batch_first=True on [N, T, C]"),
        (module.bias_k is not None, "attention with add_bias_kv", "Use add_bias_kv=False"),
        (module.add_zero_attn, "attention with add_zero_attn", "Use add_zero_attn=False"),
        (
            module.in_proj_weight is None,
            "attention with keys or values of other widths",
            "Leave out kdim and vdim",
        ),
    )
    for refused, what, fix in refusals:
        if refused:
            raise InnervateError(f"{what} has no int8 form here", path, fix)
    width, heads, tokens = module.embed_dim, module.num_heads, shape[2]
    size = module.head_dim
    joined = module.out_proj.weight.detach().reshape(width, heads, size)
    read = joined.ne(0).any(dim=2).any(dim=0).nonzero().flatten()
    if not len(read):
        raise InnervateError(
            "attention with a projection of zeros has no int8 form", path, "Train it, or leave it out"
        )
    weights: Any = module.in_proj_weight
    query, key, value = weights.detach().reshape(3, heads, size, width)[:, read]
    bias = torch.zeros(width) if module.out_proj.bias is None else module.out_proj.bias.detach().clone()
    query_bias = None
    if module.in_proj_bias is not None:
        biases = module.in_proj_bias.detach().reshape(3, heads, size)
        bias += torch.einsum("ohs,hs->o", joined, biases[2])
        query_bias = biases[0][read] / size**0.5 if biases[0].any() else None
    attention = Attention(
        path, (), (size, len(read), tokens), query / size**0.5, key.clone(), value.clone(), query_bias
    )
    weight = joined[:, read].permute(0, 2, 1).unsqueeze(3).contiguous()
    none = (0, 0, 0, 0)
    project = Conv(
        f"{path}.out_proj", (), (width, 1, tokens), weight, bias, (1, 1), none, (1, 1), 1, same=False
    )
    return attention, project
