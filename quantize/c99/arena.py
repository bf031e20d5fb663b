"""Places buffers that live at different times over each other."""

from dataclasses import dataclass

# Buffers start on words, so that kernels may load several bytes at once.
ALIGNMENT = 4


@dataclass(frozen=True)
class Buffer:
    """`size` bytes needed from step `first` to step `last`, both included."""

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Placement:
    """A buffer at its offset from the arena's start."""

    buffer: Buffer
    offset: int


@dataclass(frozen=True)
class Plan:
    """Where everything lies; `size` bytes in all, and `bound`: what the fullest step needs at the least."""

    size: int
    bound: int
    placements: tuple[Placement, ...]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def plan(buffers: list[Buffer]) -> Plan:
    """Place the largest buffers first, each at the lowest gap between those alive at the same time."""
    placed: list[Placement] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first, b.name)):
        offset = 0
        for other in sorted(placed, key=lambda p: p.offset):
            if other.buffer.last < buffer.first or buffer.last < other.buffer.first:
                continue
            if offset + buffer.size <= other.offset:
                break
            offset = max(offset, _aligned(other.offset + other.buffer.size))
        placed.append(Placement(buffer, offset))
    steps = range(max((b.last for b in buffers), default=-1) + 1)
    bound = max((sum(_aligned(b.size) for b in buffers if b.first <= s <= b.last) for s in steps), default=0)
    size = max((_aligned(p.offset + p.buffer.size) for p in placed), default=0)
    return Plan(size, bound, tuple(sorted(placed, key=lambda p: (p.buffer.first, p.offset))))
