"""Structured pruning: whole channels, memory units and attention heads go, with all that depends on them.

Zeros scattered over a weight make nothing smaller or faster on a device; what is removed whole does. `units`
finds what can go, `importance` says what it is worth, `pruner` ranks and `removal` takes it out; `cost`,
`budget` and `sensitivity` measure. The caller fine-tunes what is left.
"""

from quantize.pruning.pruner import Pruner, prune

__all__ = ["Pruner", "prune"]
