"""The chain gives the same integers on every processor: stage by stage against the host's, by emulation."""

import functools
import itertools
from dataclasses import asdict, dataclass, replace

import msgspec
import numpy as np
import pytest
from edge._core import lib
from numpy.typing import NDArray

from edge import (
    Cascade,
    Chain,
    Decision,
    DecisionRule,
    Event,
    Filter,
    Fir,
    Flag,
    Gates,
    InnervateError,
    Mix,
    PathRunner,
    Rectify,
    Section,
    SignalPath,
)
from edge.decision import NO_LABEL
from edge.firmware.bench.chain import (
    STEP_RESET,
    STEP_SAMPLE,
    STEP_STALE,
    TARGETS,
    ChainTrace,
    Step,
    run_chain,
)
from tests.core_paths import path_of
from train.filter_design import design

Ints = NDArray[np.int32]

FILTERED: int = lib.NRV_EV_SAMPLE


@dataclass(frozen=True)
class Case:
    path: SignalPath
    rule: DecisionRule
    outputs: NDArray[np.int8]
    steps: tuple[Step, ...]


def signals(path: SignalPath, samples: int, seed: int) -> Ints:
    """Silence, a square wave, a constant limit, noise of full scale, beyond it and small, a tone."""
    channels = len(path.channels)
    rng = np.random.default_rng(seed)
    top = 2 ** (path.counts_bits - 1)
    n = samples // 7
    shape = (n, channels)
    square = np.where(np.arange(n) // max(2, n // 12) % 2, top - 1, -top)[:, None].repeat(channels, 1)
    beyond = rng.integers(-(2**31), 2**31, shape)
    parts = [
        np.zeros(shape),
        square,
        np.full(shape, -top),
        rng.integers(-top, top, shape),
        beyond,
        rng.integers(-8, 9, (samples - 6 * n, channels)),
        top / 2 * np.sin(2 * np.pi / 5 * np.arange(n))[:, None].repeat(channels, 1),
    ]
    return np.concatenate(parts, dtype=np.int32, casting="unsafe")


def stream(counts: Ints, *, start: int, seed: int) -> tuple[Step, ...]:
    """Cut counts into pieces: some after a gap, some that come twice or late, a stale spell, a reset."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.choice(np.arange(1, len(counts)), 12, replace=False))
    jumps = [0, 0, 5, 0, -3, 0, 0, -1000, 100_000, 0, 0, 0, 0]
    steps = []
    index = start
    for number, (piece, jump) in enumerate(zip(np.split(counts, cuts), jumps, strict=True)):
        first = (index + jump) % 2**32
        steps.append(Step(STEP_SAMPLE, first, piece, 2**31 + 2 if number == 2 else 0))
        if jump > -1000:
            index = first + len(piece)
        if number in (3, 5):
            steps.append(Step(STEP_STALE))
        if number == 9:
            steps.append(Step(STEP_RESET))
    return tuple(steps)


def eeg() -> SignalPath:
    """24 bits, a slow high-pass and a notch: error feedback and the finest coefficients."""
    d = design([Filter("highpass", (0.5,)), Filter("notch", (50.0,))], 250.0, 24)
    return path_of(
        d.stages,
        bits=24,
        shift=d.shift,
        channels=4,
        settle=60,
        window=64,
        hop=25,
        right_shift=d.shift + 15,
        gates=Gates(mains_step=round(2**32 * 50 / 250), mains_shift=4, mains_share=180),
    )


def emg() -> SignalPath:
    d = design([Filter("bandpass", (20.0, 450.0), 4)], 2000.0, 16)
    gates = Gates(
        saturated_run=3, flat_run=9, flat_range=4, slope=40_000, amplitude=2**28, inform=int(Flag.FLAT)
    )
    return path_of(
        d.stages,
        bits=16,
        shift=d.shift,
        channels=6,
        settle=30,
        window=50,
        hop=7,
        right_shift=d.shift + 7,
        gates=gates,
    )


def armband() -> SignalPath:
    d = design([Filter("highpass", (20.0,))], 200.0, 8)
    return path_of(
        d.stages, bits=8, shift=d.shift, channels=8, settle=5, window=40, hop=40, right_shift=d.shift - 1
    )


def envelope() -> SignalPath:
    """Differences of neighbours, rectified, smoothed and decimated twice: every kind of stage."""
    d = design([Filter("highpass", (20.0,))], 1000.0, 16)
    pairs = tuple(tuple((i == o) - (i == o + 1) for i in range(4)) for o in range(3))
    weights = tuple(round(w * 2**30) for w in np.hanning(23)[1:-1] / 11)
    sums = ((1, 1, 1), (-(2**31) + 1, 2**31 - 1, 0), (3, -7, 2**20), (1, 0, 0), (0, 0, -1))
    return path_of(
        (
            Mix(("ab", "bc", "cd"), pairs),
            *d.stages,
            Rectify(),
            Fir(weights, 3),
            Fir((2**31 - 1, -(2**31) + 1), 2),
            Mix(("sum", "most", "some", "first", "last"), sums, 1),
        ),
        bits=16,
        shift=min(d.shift, 12),
        channels=4,
        settle=3,
        window=8,
        hop=3,
        right_shift=14,
    )


def wild() -> SignalPath:
    """Coefficients that nobody would design: sums wrap, outputs are limited."""
    rng = np.random.default_rng(5)

    def some(count: int, limit: int = 2**31 - 1) -> tuple[int, ...]:
        return tuple(rng.integers(-limit, limit, count, endpoint=True).tolist())

    sections = tuple(
        Section(some(3), some(2), some(2, 32767), (*some(1, 128), *some(1, 64)), shift)  # type: ignore[arg-type]
        for shift in (0, 8, 16, 0, 8, 16)
    )
    return path_of((Cascade(sections),), bits=16, shift=13, channels=3, window=9, hop=2, right_shift=23)


def raw() -> SignalPath:
    """No stage; every count that 32 bits can give; a window each sample."""
    return path_of((), bits=32, shift=0, window=1, hop=1, right_shift=23, gates=Gates(saturated_run=2))


MAKERS = {
    "eeg": (eeg, DecisionRule(0.6, 3, 2), 2),
    "emg": (emg, DecisionRule(0.4, 5, 3), 6),
    "armband": (armband, DecisionRule(), 7),
    "envelope": (envelope, DecisionRule(0.1), 3),
    "wild": (wild, DecisionRule(0.0, 32, 4), 9),
    "raw": (raw, DecisionRule(), 254),
}


@functools.cache
def case(name: str) -> Case:
    make, rule, classes = MAKERS[name]
    outputs = np.random.default_rng(classes).integers(-128, 128, (13, classes)).astype(np.int8)
    outputs[3] = 100  # all classes alike
    outputs[4:9] = -128
    outputs[4:9, 1] = 127
    outputs[8:13:2] //= 3
    path = make()
    return Case(path, rule, outputs, stream(signals(path, 900, 1), start=2**32 - 40, seed=2))


def on_host(case: Case) -> ChainTrace:
    """What the host's own core makes of it, through Chain (in pieces) and PathRunner (in bulk)."""
    path = case.path
    chain = Chain(path, case.rule, len(case.outputs[0]))
    bulk = PathRunner(path)
    prepared = itertools.cycle(case.outputs)
    events: list[int] = []
    filtered: list[Ints] = []
    windows: list[NDArray[np.int8]] = []
    decisions: list[Decision] = []
    completed = taken = 0
    for step in case.steps:
        if step.counts is None:
            events.append(0)
            if step.what == STEP_RESET:
                chain.reset()
                bulk.reset()
                completed = taken = 0
            else:
                decisions.append(chain.stale())
            continue
        gaps, late = chain.gaps, chain.late
        raised = [0] * len(step.counts)
        for event in chain.feed(step.counts, step.index, step.lead_off):
            raised[(chain.expected - 1 - step.index) % 2**32] = int(event & (Event.WINDOW | Event.GAP))
            if event & Event.GAP:
                decisions.append(chain.gap())
            if event & Event.WINDOW:
                windows.append(chain.window.copy())
                decisions.append(chain.decide(next(prepared)))
                completed += 1
        late = chain.late - late
        raised[:late] = [int(Event.LATE)] * late
        if chain.gaps > gaps:
            bulk.reset()
            taken = 0
        for i in range(late, len(raised)):
            raised[i] |= 0 if taken % path.decimation else FILTERED
            taken += 1
        events += raised
        filtered.append(bulk.filter(step.counts[late:]))
    labels = [NO_LABEL if d.label is None else d.label for d in decisions]
    rows = [
        (d.window_index, d.sample_index, label, round(d.confidence * 256), d.flags)
        for d, label in zip(decisions, labels, strict=True)
    ]
    counters = [chain.expected, completed, chain.spoiled, chain.gaps, chain.late]
    return ChainTrace(
        events=np.array(events, "<u4").tobytes(),
        filtered=np.concatenate(filtered).astype("<i4").tobytes(),
        windows=np.array(windows).tobytes(),
        decisions=np.array(rows, "<u4").tobytes(),
        counters=np.array(counters, "<u4").tobytes(),
    )


def need(target: str) -> None:
    missing = TARGETS[target].missing
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: Debian's {', '.join(missing.values())}")


def on_target(target: str, case: Case, *flags: str) -> ChainTrace:
    need(target)
    return run_chain(target, case.path, case.rule, case.outputs, case.steps, flags)


def assert_same(got: ChainTrace, want: ChainTrace) -> None:
    for stage, expected in asdict(want).items():
        integers = np.uint8 if stage == "windows" else np.uint32
        np.testing.assert_array_equal(
            np.frombuffer(getattr(got, stage), integers), np.frombuffer(expected, integers), stage
        )


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("target", [name for name in TARGETS if name != "netduinoplus2"])  # mps2-an386's core
def test_every_integer_of_every_stage_is_the_host_s(target: str, name: str) -> None:
    assert_same(on_target(target, case(name)), on_host(case(name)))


@pytest.mark.parametrize("level", ["-Os", "-O3"])
@pytest.mark.parametrize("target", ["microbit", "mps2-an386", "mps3-an547", "aarch64"])
def test_whatever_the_optimisation(target: str, level: str) -> None:
    assert_same(on_target(target, case("envelope"), level), on_host(case("envelope")))


def test_the_cases_reach_every_event_and_flag() -> None:
    events = flags = 0
    labels = set()
    for name in MAKERS:
        trace = on_host(case(name))
        events |= np.bitwise_or.reduce(np.frombuffer(trace.events, "<u4"))
        rows = np.frombuffer(trace.decisions, "<u4").reshape(-1, 5)
        flags |= np.bitwise_or.reduce(rows[:, 4])
        labels |= set(rows[:, 2].tolist())
    assert int(events) == sum(Event) | FILTERED
    assert int(flags) == sum(Flag)
    assert len(labels) > 2


def test_a_coefficient_one_step_off_shows_in_the_first_stage_it_touches() -> None:
    good = case("emg")
    (cascade,) = good.path.stages
    assert isinstance(cascade, Cascade)
    first, *rest = cascade.sections
    changed = msgspec.structs.replace(first, b=(first.b[0] + 1, *first.b[1:]))
    path = msgspec.structs.replace(good.path, stages=(Cascade((changed, *rest)),))
    got, want = on_target("host", replace(good, path=path)), on_host(good)
    assert got.events == want.events
    assert got.filtered != want.filtered


def test_unknown_targets_and_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    some = case("raw")
    with pytest.raises(InnervateError, match=r"unknown target 'vax'.*microbit"):
        run_chain("vax", some.path, some.rule, some.outputs, some.steps)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InnervateError, match=r"qemu-system-arm missing.*apt install gcc-arm-none-eabi"):
        run_chain("microbit", some.path, some.rule, some.outputs, some.steps)
