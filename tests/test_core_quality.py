"""Gates of quality: each against what core/quality.h states, and what they make of windows and decisions."""

import math
from typing import Any

import numpy as np
import pytest
from edge._core import ffi, lib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from edge import Chain, Decision, DecisionRule, Event, Fir, Flag, Gates, InnervateError, PathRunner
from edge.quality import QUALITY_FLAGS, lead_bit, mains_ripple
from tests.core_paths import path_of

Counts = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]
SURE = np.array([127, -128], np.int8)


class Watch:
    """An `nrv_quality_t` on its own; with a span of 1 its flags are those of the last sample."""

    def __init__(self, gates: Gates, channels: int = 1, bits: int = 24, span: int = 1) -> None:
        gates.validate()
        self.gates = ffi.new("nrv_gates_t *", gates.fields())
        self.channel = ffi.new("nrv_channel_quality_t[]", channels)
        self.quality = ffi.new("nrv_quality_t *")
        lib.nrv_quality_init(self.quality, self.gates, channels, bits, span, self.channel)

    def flags(self, counts: Counts, lead_off: int = 0) -> NDArray[np.uint16]:
        """Flags after each sample of counts [n, channels]."""
        found = np.empty(len(counts), np.uint16)
        for i, row in enumerate(counts.tolist()):
            lib.nrv_quality_push(self.quality, row, lead_off)
            found[i] = lib.nrv_quality_flags(self.quality)
        return found

    def shares(self, counts: Counts) -> Floats:
        """Share of the mains in channel 0 after each sample; NaN where there is no power yet."""
        shift, c = self.gates.mains_shift, self.channel[0]
        found = np.full(len(counts), np.nan)
        for i, row in enumerate(counts.tolist()):
            lib.nrv_quality_push(self.quality, row, 0)
            if c.power:
                square = (2 * (c.in_phase >> 32)) ** 2 + (2 * (c.quadrature >> 32)) ** 2
                found[i] = 2 * square / (c.power * 2**8 / 2**shift)
        return found


def column(values: Any) -> NDArray[np.int64]:
    return np.asarray(np.rint(values), np.int64)[:, None]


def ended(condition: NDArray[np.bool_], run: int) -> NDArray[np.bool_]:
    """Where the last `run` values are all true."""
    return np.array(
        [n + 1 >= run and bool(condition[n + 1 - run : n + 1].all()) for n in range(len(condition))]
    )


def stands_still(counts: Counts, samples: int, allowed: int) -> bool:
    """Whether any channel of counts [n, channels] has kept within a range for its last samples."""
    return len(counts) >= samples and bool((np.ptp(counts[-samples:], axis=0) <= allowed).any())


@settings(max_examples=60, deadline=None)
@given(
    run=st.integers(2, 6),
    allowed=st.sampled_from([0, 1, 3, 2**32 - 1]),
    seed=st.integers(0, 2**32 - 1),
    low=st.sampled_from([-(2**31), -4, 0]),
)
def test_flat_is_never_wrong_and_misses_nothing_twice_as_long(
    run: int, allowed: int, seed: int, low: int
) -> None:
    rng = np.random.default_rng(seed)
    high = 2**31 - 1 if low == -(2**31) else 4
    counts = rng.integers(low, high, (60, 2))
    for c in range(2):  # stretches that stand still, or nearly
        at, length = rng.integers(0, 50), rng.integers(1, 20)
        counts[at : at + length, c] = counts[at, c] + rng.integers(0, 2, len(counts[at : at + length, c]))
    flat = Watch(Gates(saturated_run=0, flat_run=run, flat_range=allowed), 2, 32).flags(counts) == Flag.FLAT
    for n in range(len(counts)):
        still = stands_still(counts[: n + 1], run, allowed)
        assert still or not flat[n]
        if stands_still(counts[: n + 1], 2 * run - 1, allowed):
            assert flat[n - 2 * run + 2 : n + 1].any()
        if allowed == 0:
            assert flat[n] == still


def test_saturation_steps_and_leads_sample_by_sample() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(-140, 141, (400, 3))
    counts[100:200] //= 20
    at_limit = ((counts >= 127) | (counts <= -128)).any(axis=1)
    steep = np.zeros(len(counts), bool)
    steep[1:] = (np.abs(np.diff(counts, axis=0)) > 90).any(axis=1)
    got = Watch(Gates(saturated_run=2, slope=90), 3, 8).flags(counts)
    assert np.array_equal(got & Flag.SATURATED != 0, ended(at_limit, 2))
    assert np.array_equal(got & Flag.SLOPE != 0, steep)
    assert 0 < (got != 0).sum() < len(got)
    leads = Watch(Gates(lead_mask=0b101), 3, 8)
    assert [int(leads.flags(counts[100:101], bits)[0]) for bits in (0, 1, 2, 4, 7)] == [
        Flag(0), Flag.LEAD_OFF, Flag(0), Flag.LEAD_OFF, Flag.LEAD_OFF,
    ]  # fmt: skip


def test_steps_over_the_whole_of_int32_do_not_wrap() -> None:
    counts = np.array([[2**31 - 1], [-(2**31)], [2**31 - 1], [2**31 - 1]])
    got = Watch(Gates(saturated_run=0, slope=2**32 - 2), 1, 32).flags(counts)
    assert got.tolist() == [0, Flag.SLOPE, Flag.SLOPE, 0]
    assert not Watch(Gates(saturated_run=0, slope=2**32 - 1), 1, 32).flags(counts).any()


def test_amplitude_takes_the_lowest_int32() -> None:
    watch = Watch(Gates(amplitude=2**31 - 1))
    for value, flag in ((2**31 - 1, Flag(0)), (-(2**31) + 1, Flag(0)), (-(2**31), Flag.AMPLITUDE)):
        lib.nrv_quality_push(watch.quality, [0], 0)
        lib.nrv_quality_push_filtered(watch.quality, [0, value], 2)
        assert lib.nrv_quality_flags(watch.quality) == flag


def test_a_violation_counts_for_span_samples_and_is_then_forgotten_for_good() -> None:
    watch = Watch(Gates(slope=5), span=4)
    assert watch.flags(column([0, 9, 9, 9, 9, 9])).tolist() == [0, *4 * [Flag.SLOPE], 0]
    watch.quality.taken = (watch.quality.taken - 10) % 2**32  # the counter comes round
    assert watch.flags(column(20 * [9])).tolist() == 20 * [0]


# Share of the mains.


def gate(mains_hz: float, fs: float, shift: int, share: int = 128) -> Gates:
    return Gates(0, mains_step=round(mains_hz / fs * 2**32), mains_shift=shift, mains_share=share)


def shift_for(fs: float) -> int:
    """Means over some 160 ms."""
    return round(math.log2(0.16 * fs))


def float_shares(x: Floats, frequency: float, shift: int) -> Floats:
    """The formula of core/quality.h in float64, x in any unit."""
    leak = 2.0**-shift
    mean = lfilter([0, leak], [1, leak - 1], x - x[0])
    y = x - x[0] - mean
    turn = np.exp(2j * np.pi * frequency * np.arange(len(x)))
    product = lfilter([leak], [1, leak - 1], y * turn)
    power = lfilter([leak], [1, leak - 1], y * y)
    with np.errstate(invalid="ignore"):
        shares: Floats = 2 * np.abs(product) ** 2 / power
    return shares


def signals(kind: str, fs: float, hz: float, samples: int, seed: int = 0) -> Floats:
    """At unit power, but for the offset."""
    t = np.arange(samples) / fs
    rng = np.random.default_rng(seed)
    hum: Floats = np.sqrt(2) * np.sin(2 * np.pi * hz * t + 1)
    noise: Floats = rng.normal(size=samples)
    match kind:
        case "hum":
            return hum
        case "noise":
            return noise
        case "steps":
            steps: Floats = np.sign(np.sin(2 * np.pi * 1.3 * t)) + 0.1 * noise
            return steps
        case _:
            share = float(kind)
            mixed: Floats = np.sqrt(share) * hum + np.sqrt(1 - share) * noise
            return mixed


RATES = [(125.0, 50.0), (125.0, 60.0), (250.0, 50.0), (500.0, 60.0), (1000.0, 50.0), (2000.0, 60.0)]


@pytest.mark.parametrize(("fs", "hz"), RATES)
@pytest.mark.parametrize("kind", ["hum", "noise", "steps", "0.3"])
def test_the_share_is_that_of_float64(fs: float, hz: float, kind: str) -> None:
    """For signals from 16 steps of 24 bits to full scale, on an offset of half the range.

    Within half of the bound that core/quality.h states.
    """
    shift = shift_for(fs)
    for amplitude, bits in ((16.0, 24), (1e6, 24), (4e3, 16), (20.0, 8)):
        x = np.rint(amplitude * signals(kind, fs, hz, 12 << shift) + 2.0 ** (bits - 2))
        got = Watch(gate(hz, fs, shift), bits=bits).shares(column(x))
        settled = slice(1 << shift, None)
        want = float_shares(x, gate(hz, fs, shift).mains_step / 2**32, shift)
        error = 15 / (amplitude * 2.0 ** (30 - bits)) + 0.0003
        np.testing.assert_allclose(got[settled], want[settled], rtol=0, atol=error)


@pytest.mark.parametrize(("fs", "hz"), RATES)
def test_pure_mains_are_all_of_the_power_within_the_ripple(fs: float, hz: float) -> None:
    shift = shift_for(fs)
    x = column(5000 * signals("hum", fs, hz, 30 << shift) + 2**22)
    shares = Watch(gate(hz, fs, shift)).shares(x)[12 << shift :]
    ripple = mains_ripple(hz / fs, shift)
    assert np.abs(shares - 1).max() <= ripple + 0.005
    assert np.abs(shares - 1).max() >= 0.8 * ripple - 0.005


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.8])
def test_mains_in_noise_show_their_share(share: float) -> None:
    fs, shift = 1000.0, 7
    x = column(3000 * signals(str(share), fs, 50.0, 40_000, seed=3) - 2**22)
    shares = Watch(gate(50.0, fs, shift)).shares(x)[8 << shift :]
    assert shares.mean() == pytest.approx(share + (1 - share) / 2**shift, abs=0.02)
    if share == 0:
        assert shares.mean() == pytest.approx(2.0**-shift, rel=0.25)
        assert shares.max() < 0.2


@pytest.mark.parametrize("off_hz", [-0.5, 0.5, 2.0])
def test_mains_that_are_off_fade_as_stated(off_hz: float) -> None:
    fs, shift = 1000.0, 7
    x = column(3000 * signals("hum", fs, 50.0 + off_hz, 6000))
    shares = Watch(gate(50.0, fs, shift)).shares(x)[2000:]
    expected = 1 / (1 + (2 * np.pi * off_hz / fs * 2**shift) ** 2)
    assert shares.mean() == pytest.approx(expected, abs=0.02)
    assert expected > 0.66 or abs(off_hz) > 0.5


@settings(max_examples=40, deadline=None)
@given(
    bits=st.sampled_from([2, 8, 23, 24, 25, 32]),
    shift=st.integers(3, 10),
    step=st.integers(1 << 28, 3 << 29),
    share=st.integers(1, 255),
    kind=st.sampled_from(["limits", "anything", "in step"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_sum_overflows(bits: int, shift: int, step: int, share: int, kind: str, seed: int) -> None:
    """Against Python's integers, which have no end, at the worst that can come."""
    gates = Gates(0, mains_step=step, mains_shift=shift, mains_share=share)
    if mains_ripple(step / 2**32, shift) > 0.25:
        return
    rng = np.random.default_rng(seed)
    top, samples = 2 ** (bits - 1), 400
    turns = np.arange(samples) * step % 2**32
    x = {
        "limits": rng.choice([-top, top - 1], samples),
        "anything": rng.integers(-(2**31), 2**31, samples),
        "in step": np.where(turns < 2**31, top - 1, -top),
    }[kind]
    watch = Watch(gates, bits=bits)
    got = watch.flags(x[:, None])
    m = i = q = p = 0
    for n, count in enumerate(x.tolist()):
        clamped = max(-top, min(top - 1, count))
        value = clamped << 30 - bits if bits <= 30 else clamped >> bits - 30
        m = value << 32 if n == 0 else m
        y = value - (m >> 32)
        m += y << 32 - shift
        turn = int(turns[n])
        i += ((y * lib.nrv_mains_sine((turn + 2**30) % 2**32) >> 16) - (i >> 32)) << 32 - shift
        q += ((y * lib.nrv_mains_sine(turn) >> 16) - (q >> 32)) << 32 - shift
        p += (y + 8 >> 4) ** 2 - (p >> shift)
        assert (got[n] != 0) == (((i >> 32) ** 2 + (q >> 32) ** 2) << 3 > share * (p >> shift))
    c = watch.channel[0]
    assert (c.mean, c.in_phase, c.quadrature, c.power) == (m, i, q, p)
    assert max(map(abs, (m, i, q, p))) < 2**62


def test_sine_is_numpys() -> None:
    edges = np.arange(0, 2**32, 2**24)
    phases = np.unique(np.concatenate([edges, edges - 1, edges + 1, edges + 2**23, [1, 2**32 - 1]]) % 2**32)
    got = np.array([lib.nrv_mains_sine(phase) for phase in phases.tolist()])
    assert np.abs(got - 32767 * np.sin(2 * np.pi * phases / 2**32)).max() < 4


# Windows and decisions.


@settings(max_examples=150, deadline=None)
@given(
    saturated_run=st.integers(0, 3),
    flat_run=st.sampled_from([0, 2, 3]),
    slope=st.sampled_from([0, 60, 120]),
    amplitude=st.sampled_from([0, 50, 90]),
    lead_mask=st.sampled_from([0, 1, 3]),
    inform=st.sampled_from([0, Flag.SATURATED, Flag.FLAT | Flag.LEAD_OFF, QUALITY_FLAGS]),
    factor=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_window_has_the_flags_of_the_samples_it_spans(
    saturated_run: int,
    flat_run: int,
    slope: int,
    amplitude: int,
    lead_mask: int,
    inform: int,
    factor: int,
    lengths: list[int],
    seed: int,
) -> None:
    gates = Gates(saturated_run, flat_run, 0, slope, amplitude, lead_mask=lead_mask, inform=int(inform))
    path = path_of(
        (Fir((1 << 30,), factor),),
        bits=8, shift=0, channels=2, settle=1, window=3, hop=2, right_shift=0, gates=gates,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    chain = Chain(path, DecisionRule(0.0, 1, 1), 2)
    got: list[Decision] = []
    want: list[tuple[int | None, int]] = []
    index = 0
    for length in lengths:  # each after a gap
        counts = np.clip(rng.normal(0, rng.choice([5, 60], length)[:, None], (length, 2)), -128, 127).astype(
            int
        )
        lead_off = int(rng.choice([0, 0, 1, 2]))
        for event in chain.feed(counts, index, lead_off):
            assert event in (Event.WINDOW, Event.GAP)
            if event == Event.WINDOW:
                got.append(chain.decide(SURE))
        index += length + 1
        at_limit = ((counts == 127) | (counts == -128)).any(axis=1)
        steps = np.abs(np.diff(counts, axis=0, prepend=counts[:1]))
        still = np.vstack([[[False, False]], np.diff(counts, axis=0) == 0])
        filtered = np.zeros(length, bool)
        filtered[::factor] = (np.abs(PathRunner(path).filter(counts)) > amplitude).any(axis=1)
        violations = {
            Flag.SATURATED: saturated_run > 0 and ended(at_limit, saturated_run),
            Flag.FLAT: flat_run > 0 and (ended(still[:, 0], flat_run - 1) | ended(still[:, 1], flat_run - 1)),
            Flag.SLOPE: slope > 0 and (steps > slope).any(axis=1),
            Flag.AMPLITUDE: amplitude > 0 and filtered,
            Flag.LEAD_OFF: np.full(length, lead_off & lead_mask != 0),
        }
        for end in PathRunner(path).windows(counts)[1].tolist():
            span = slice(max(0, end + 1 - 3 * factor), end + 1)
            flags = sum(flag for flag, bad in violations.items() if bad is not False and bad[span].any())
            want.append((None if flags & ~inform else 0, int(flags)))
    assert [(d.label, d.flags) for d in got] == want
    assert chain.spoiled == sum(label is None for label, _ in want)


def test_spoiled_windows_do_not_vote_and_informed_ones_do() -> None:
    for inform, labels in ((0, [None, None, None]), (Flag.LEAD_OFF, [None, 0, 0])):
        path = path_of(bits=8, shift=0, window=1, hop=1, right_shift=0, gates=Gates(inform=int(inform)))
        chain = Chain(path, DecisionRule(0.0, 3, 2), 2)
        made = [
            chain.decide(SURE) for lead in (1, 1, 0) for _ in chain.feed(np.zeros((1, 1), int), None, lead)
        ]
        assert [d.label for d in made] == labels
        assert [d.reasons for d in made] == [
            ("no majority", "lead off") if inform else ("lead off",),
            ("lead off",),
            () if inform else ("no majority",),
        ]


def test_channels_beyond_the_word_share_its_last_bit() -> None:
    assert [lead_bit(c) for c in (0, 30, 31, 32, 200)] == [1, 1 << 30, 1 << 31, 1 << 31, 1 << 31]
    chain = Chain(path_of(channels=2), DecisionRule(), 2)
    for wrong in (-1, 1 << 32):
        with pytest.raises(InnervateError, match="32 bits"):
            list(chain.feed(np.zeros((1, 2), int), None, wrong))


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        (Gates(saturated_run=-1), "saturated_run must be 0"),
        (Gates(flat_run=1), "flat_run must be 0 or at least 2"),
        (Gates(flat_range=1 << 32), "flat_range must fit"),
        (Gates(slope=-1), "slope must fit"),
        (Gates(inform=int(Flag.GAP)), "inform may only"),
        (Gates(mains_step=1 << 31), "mains_step must be 0 or below half"),
        (Gates(mains_step=1 << 29, mains_shift=2, mains_share=9), "mains_shift must be 3 to 10"),
        (Gates(mains_step=1 << 29, mains_shift=5), "mains_share must be 1 to 255"),
        (gate(50, 102, 4), "swing by"),
    ],
)
def test_gates_that_cannot_be_are_named(gates: Gates, message: str) -> None:
    with pytest.raises(InnervateError, match=message):
        path_of(gates=gates).validate()
