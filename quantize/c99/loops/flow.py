"""Where control goes inside a function: basic blocks, dominators, natural loops."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from quantize.c99.loops.thumb import LOOP_ENDS, Function, Instruction

# Copies of blocks are numbered beyond all addresses.
COPY: Final = 1 << 32
_MOST_COPIES: Final = 64
_BRANCHES: Final = ("b", "cbz", "cbnz", *LOOP_ENDS)


@dataclass(frozen=True)
class Block:
    """Instructions carried out one after another; `following`: addresses of the blocks that may come next."""

    address: int
    code: Sequence[Instruction]
    following: tuple[int, ...]


@dataclass(frozen=True)
class NaturalLoop:
    """A header and the blocks from which it is reached again.

    `natural`: whoever enters goes through the header.
    """

    header: int
    latches: frozenset[int]
    body: frozenset[int]
    natural: bool


def _ends(step: Instruction) -> bool:
    """Whether a return, or a jump elsewhere, follows nothing."""
    if step.name in ("pop", "ldm", "ldmia", "ldmdb"):
        return "pc" in step.operands[-1]
    return step.name in ("bx", "b", "tbb", "tbh") or (
        bool(step.operands) and step.operands[0] == "pc" and step.name in ("mov", "ldr", "add")
    )


def _leaves(
    step: Instruction, tables: Mapping[int, frozenset[int]], own: Collection[int]
) -> tuple[list[int], bool]:
    """Return where an instruction jumps to inside its function, and whether the next one may follow."""
    if step.address in tables:
        return sorted(tables[step.address]), bool(step.condition)
    far = step.name == "bl" and not step.symbol and step.target in own
    if far or step.name in _BRANCHES or step.name.startswith("wls"):
        # Another function's address is a tail call, which returns to the caller; BL to its own is a far jump.
        inside = [step.target] if step.target is not None and step.target in own else []
        endless = step.name in LOOP_ENDS and len(step.operands) == 1  # LE without a counter
        return inside, bool(step.condition) or not (far or step.name == "b" or endless)
    return [], bool(step.condition) or not _ends(step)


def read_blocks(function: Function) -> dict[int, Block]:
    """Return a function's basic blocks by address, the entry first."""
    code = function.code
    own = {step.address for step in code}
    jumps = [_leaves(step, function.tables, own) for step in code]
    starts = {code[0].address}
    for i, (targets, falls) in enumerate(jumps):
        starts.update(targets)
        if (targets or not falls) and i + 1 < len(code):
            starts.add(code[i + 1].address)
    blocks: dict[int, Block] = {}
    first = 0
    for i, (targets, falls) in enumerate(jumps):
        behind = code[i + 1].address if i + 1 < len(code) else None
        if behind is None or behind in starts:
            following = [*targets, behind] if falls and behind is not None else targets
            blocks[code[first].address] = Block(
                code[first].address, code[first : i + 1], tuple(dict.fromkeys(following))
            )
            first = i + 1
    return blocks


@dataclass(frozen=True)
class Flow:
    """A function's reachable blocks.

    Attributes:
        blocks: by address.
        order: their addresses, each behind those that lead to it other than by a jump back.
        before: which blocks lead to each.
        dominators: of each block: the blocks that every way to it goes through, itself included.
        loops: inner ones behind outer ones.
    """

    blocks: Mapping[int, Block]
    order: Sequence[int]
    before: Mapping[int, Sequence[int]]
    dominators: Mapping[int, frozenset[int]]
    loops: Sequence[NaturalLoop]


def find_flow(function: Function) -> Flow:
    """Return how control goes through a function that has instructions.

    Where a loop is entered at several places, blocks are copied until none is: what the function does stays
    the same. After some copies it is given up, and loops remain that are not natural.
    """
    blocks, entry = read_blocks(function), function.code[0].address
    flow = _flow(blocks, entry)
    for copy in range(1, _MOST_COPIES):
        edges = [(loop.header, latch) for loop in flow.loops if not loop.natural for latch in loop.latches]
        if not edges:
            break
        blocks = _copied(flow, {block for edge in edges for block in edge}, copy)
        flow = _flow(blocks, entry)
    return flow


def _copied(flow: Flow, among: Collection[int], copy: int) -> dict[int, Block]:
    """Return blocks of which a region has been copied, once for all but one of those that lead to it.

    Hecht and Ullman: regions are merged into the only one that leads to them; of what remains, one is copied
    that holds one of the blocks `among`, the smallest.
    """
    blocks, order = dict(flow.blocks), flow.order
    region = {block: [block] for block in order}  # by header
    of = {block: block for block in order}

    def leading(header: int) -> list[int]:
        """Return which regions lead to one, itself left out."""
        return sorted({of[block] for block in flow.before[header]} - {header})

    merged = True
    while merged:
        merged = False
        for header in [h for h in order[1:] if h in region]:
            before = leading(header)
            if len(before) == 1:
                region[before[0]] += region[header]
                of.update(dict.fromkeys(region.pop(header), before[0]))
                merged = True
    header = min({of[block] for block in among} - {order[0]}, key=lambda h: (len(region[h]), h))
    for number, source in enumerate(leading(header)[1:], 1):
        new = {block: block % COPY + COPY * (copy * _MOST_COPIES + number) for block in region[header]}
        for block, key in new.items():
            following = tuple(new.get(t, t) for t in blocks[block].following)
            blocks[key] = Block(key, blocks[block].code, following)
        for block in region[source]:
            following = tuple(new[header] if t == header else t for t in blocks[block].following)
            blocks[block] = Block(block, blocks[block].code, following)
    return blocks


def _flow(blocks: Mapping[int, Block], entry: int) -> Flow:
    order = _reverse_postorder(blocks, entry)
    rank = {address: i for i, address in enumerate(order)}
    before: dict[int, list[int]] = {address: [] for address in order}
    for address in order:
        for target in blocks[address].following:
            before[target].append(address)
    dominators = _dominators(order, before)
    back: dict[int, set[int]] = {}
    for address in order:
        for target in blocks[address].following:
            if rank[target] <= rank[address]:
                back.setdefault(target, set()).add(address)
    loops = [
        NaturalLoop(
            header,
            frozenset(back[header]),
            body_of(header, back[header], before),
            all(header in dominators[latch] for latch in back[header]),
        )
        for header in sorted(back, key=rank.__getitem__)
    ]
    return Flow(blocks, order, before, dominators, loops)


def body_of(header: int, latches: Collection[int], before: Mapping[int, Sequence[int]]) -> frozenset[int]:
    """Return the blocks from which `latches` are reached without going through the header, and the header."""
    body, ahead = {header}, list(latches)
    while ahead:
        address = ahead.pop()
        if address not in body:
            body.add(address)
            ahead += before[address]
    return frozenset(body)


def _reverse_postorder(blocks: Mapping[int, Block], entry: int) -> list[int]:
    seen, order = {entry}, []
    open_blocks: list[tuple[int, Iterator[int]]] = [(entry, iter(blocks[entry].following))]
    while open_blocks:
        address, rest = open_blocks[-1]
        target = next((t for t in rest if t not in seen), None)
        if target is None:
            order.append(address)
            open_blocks.pop()
        else:
            seen.add(target)
            open_blocks.append((target, iter(blocks[target].following)))
    return order[::-1]


def _dominators(order: Sequence[int], before: Mapping[int, Sequence[int]]) -> dict[int, frozenset[int]]:
    every = frozenset(order)
    found = dict.fromkeys(order, every)
    found[order[0]] = frozenset(order[:1])
    changed = True
    while changed:
        changed = False
        for address in order[1:]:
            common = frozenset.intersection(*(found[b] for b in before[address])) | {address}
            if common != found[address]:
                found[address], changed = common, True
    return found
