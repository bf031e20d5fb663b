"""Places buffers that live at different times over each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Buffers start on words, so that kernels may load several bytes at once.
ALIGNMENT = 4


@dataclass(frozen=True)
class Buffer:
    """`size` bytes needed from step `first` to step `last`, both included.

    `over` names buffers that this one may lie over if it starts so many bytes below them, or further below;
    `onto` those that it may lie over if it starts where they do.
    """

    name: str
    size: int
    first: int
    last: int
    over: Mapping[str, int] = field(default_factory=dict)
    onto: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Placement:
    """A buffer at its offset from the arena's start."""

    buffer: Buffer
    offset: int

    @property
    def end(self) -> int:
        """The first word after it."""
        return _aligned(self.offset + self.buffer.size)


@dataclass(frozen=True)
class Plan:
    """Where everything lies; `size` bytes in all, and `bound`: what the fullest step needs at the least."""

    size: int
    bound: int
    placements: tuple[Placement, ...]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _collide(a: Placement, b: Placement) -> bool:
    if a.buffer.last < b.buffer.first or b.buffer.last < a.buffer.first:
        return False
    if a.offset + a.buffer.size <= b.offset or b.offset + b.buffer.size <= a.offset:
        return False
    for over, under in ((a, b), (b, a)):
        if under.buffer.name in over.buffer.onto and under.offset == over.offset:
            return False
        lead = over.buffer.over.get(under.buffer.name)
        if lead is not None and under.offset - over.offset >= lead:
            return False
    return True


def _candidates(buffer: Buffer, placed: list[Placement]) -> list[int]:
    """Offsets at which a buffer may begin to fit: the start, after others, and just far enough off them."""
    offsets = {0}
    for other in placed:
        offsets.add(other.end)
        if other.buffer.name in buffer.onto or buffer.name in other.buffer.onto:
            offsets.add(other.offset)
        if other.buffer.name in buffer.over:
            offsets.add((other.offset - buffer.over[other.buffer.name]) // ALIGNMENT * ALIGNMENT)
        if buffer.name in other.buffer.over:
            offsets.add(_aligned(other.offset + other.buffer.over[buffer.name]))
    return sorted(offset for offset in offsets if offset >= 0)


def _placed(buffers: list[Buffer]) -> list[Placement]:
    """Place one buffer after the other, each as low as it fits."""
    placed: list[Placement] = []
    for buffer in buffers:
        tried = (Placement(buffer, offset) for offset in _candidates(buffer, placed))
        placed.append(next(t for t in tried if not any(_collide(t, other) for other in placed)))
    return placed


def _size(placed: list[Placement]) -> int:
    return max((p.end for p in placed), default=0)


def _least(alive: list[Buffer]) -> int:
    """What buffers need that are alive together, each over at most one other."""
    sizes = {b.name: _aligned(b.size) for b in alive}
    saved = 0
    for buffer in alive:
        leads = [*((name, 0) for name in buffer.onto), *buffer.over.items()]
        for name, lead in leads:
            if name in sizes:
                both = max(sizes[buffer.name], sizes[name] + max(lead, 0))
                saved = max(saved, sizes[buffer.name] + sizes[name] - both)
    return sum(sizes.values()) - saved


def _improved(placed: list[Placement], bound: int) -> list[Placement]:
    """Place first, one at a time, what lives together with the highest buffer, as long as that helps."""
    while _size(placed) > bound:
        buffers = [p.buffer for p in placed]
        top = max(placed, key=lambda p: p.end).buffer
        together = [b for b in buffers if b.first <= top.last and top.first <= b.last]
        tries = [_placed([b, *(other for other in buffers if other is not b)]) for b in together]
        best = min(tries, key=_size)
        if _size(best) >= _size(placed):
            break
        placed = best
    return placed


def plan(buffers: list[Buffer]) -> Plan:
    """Place buffers in several orders and keep what takes the least memory.

    Largest first is best where nothing overlaps. Where outputs lie over their inputs, a chain goes down from
    layer to layer, so that the last one goes first.
    """
    largest = sorted(buffers, key=lambda b: (-b.size, b.first, b.name))
    latest = sorted(buffers, key=lambda b: (-b.first, -b.size, b.name))
    chains = sorted(latest, key=lambda b: b.first == b.last)  # what one step alone needs comes after
    steps = range(max((b.last for b in buffers), default=-1) + 1)
    bound = max((_least([b for b in buffers if b.first <= s <= b.last]) for s in steps), default=0)
    made = (_improved(_placed(order), bound) for order in (largest, latest, chains))
    placed = min(made, key=_size)
    return Plan(_size(placed), bound, tuple(sorted(placed, key=lambda p: (p.buffer.first, p.offset))))
