"""Calibration in fixed point, against Python's integers and fractions."""

import zlib
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from edge._core import ffi, lib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import Fir, InnervateError, Mix, PathRunner, Rectify, SignalPath, Stage
from edge.calibration import PROPORTION_ONE, Calibration, Calibrator, mean_levels, record_size
from tests.core_paths import path_of

BUNDLE = "0123456789abcdef" * 4
BIPOLAR = Mix(("a", "b"), ((1, -1, 0), (0, 1, -1)))
HALVED = Fir((1 << 28, 1 << 29, 1 << 28), 2)
STAGES: dict[str, tuple[Stage, ...]] = {
    "plain": (),
    "montage": (BIPOLAR,),
    "decimated": (HALVED, HALVED),
    "envelope": (Rectify(), HALVED),
}


def trained(path: SignalPath, *, common: bool = False) -> SignalPath:
    """The path with a scale of its own for each channel, or with one for all."""
    count = len(path.outputs)
    multiplier = tuple((1 << 30) + (0 if common else 1000 * c) for c in range(count))
    return msgspec.structs.replace(path, multiplier=multiplier)


def calibrated(
    path: SignalPath, rest: NDArray[np.int64], mvc: NDArray[np.int64], headroom: float = 4.0
) -> Calibration:
    calibrator = Calibrator(path, BUNDLE, headroom)
    calibrator.rest(rest)
    return calibrator.mvc(mvc)


def levels_of(path: SignalPath, counts: NDArray[np.int64]) -> list[Fraction]:
    """Exact means of |filtered| after the filters have settled."""
    settled = PathRunner(path).filter(counts)[path.settle :]
    return [Fraction(sum(abs(int(v)) for v in column), len(settled)) for column in settled.T]


def rounded(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def assert_scale(multiplier: int, right_shift: int, level: Fraction, headroom: float) -> None:
    scale = Fraction(multiplier, 2 ** (31 + right_shift))
    exact = 127 / (Fraction(round(headroom * 256), 256) * level)
    assert abs(scale / exact - 1) <= Fraction(1, 2**29) + 1 / (2**15 * level)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(STAGES)),
    settle=st.integers(0, 9),
    samples=st.integers(60, 200),
    loud=st.integers(5000, 30000),
    headroom=st.sampled_from([0.5, 2.0, 4.0, 4.37, 20.0]),
    common=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_levels_and_scale(
    kind: str, settle: int, samples: int, loud: int, headroom: float, common: bool, seed: int
) -> None:
    path = trained(path_of(STAGES[kind], bits=16, shift=10, channels=3, settle=settle), common=common)
    rng = np.random.default_rng(seed)
    rest = rng.integers(-loud // 20, loud // 20 + 1, (samples, 3))
    mvc = rng.integers(-loud, loud + 1, (samples, 3)) // np.array([1, 2, 3])
    found = calibrated(path, rest, mvc, headroom)
    rest_levels, mvc_levels = levels_of(path, rest), levels_of(path, mvc)
    assert found.rest == tuple(map(rounded, rest_levels))
    assert found.mvc == tuple(map(rounded, mvc_levels))
    assert found.channels == path.outputs
    for c, level in enumerate(mvc_levels):
        shared = sum(mvc_levels, Fraction(0)) / len(mvc_levels)
        assert_scale(found.multiplier[c], found.right_shift[c], shared if common else level, headroom)
    if common:
        assert len({*zip(found.multiplier, found.right_shift, strict=True)}) == 1


@given(
    level=st.integers(1, 2**31),
    extra=st.integers(0, 2**31),
    gathered=st.integers(1, 2**32 - 1),
    headroom=st.integers(1, 255 * 256),
)
def test_sums_of_any_length(level: int, extra: int, gathered: int, headroom: int) -> None:
    """Up to 2^32 - 1 samples of -2^31 each."""
    path = path_of(bits=32, shift=0)
    config, _keep = _config(path)
    total = min(level * gathered + extra % gathered, gathered << 31)
    levels = ffi.new(
        "nrv_levels_t *",
        {
            "sum": (summed := ffi.new("uint64_t[]", [total])),
            "at_limit": (limits := ffi.new("uint32_t[]", 1)),
            "wanted": gathered,
            "gathered": gathered,
            "taken": gathered,
        },
    )
    assert summed[0] == total
    assert limits[0] == 0
    mean = Fraction(total, gathered)
    assert lib.nrv_levels_mean(levels, 0) == rounded(mean)
    arrays = [ffi.new("uint32_t[1]"), ffi.new("uint32_t[1]"), ffi.new("int32_t[1]"), ffi.new("uint8_t[1]")]
    channel = ffi.new("unsigned *")
    reason = lib.nrv_calibration_mvc(
        levels, config, arrays[0], headroom, ffi.new("nrv_calibration_t *", arrays), channel
    )
    if mean * headroom / 256 >= 128 + Fraction(1, 256):
        assert reason == lib.NRV_CALIBRATION_GOOD
        assert_scale(arrays[2][0], arrays[3][0], mean, headroom / 256)
    elif mean * headroom / 256 < 128:
        assert reason == lib.NRV_CALIBRATION_FLAT


def _config(path: SignalPath) -> tuple[object, object]:
    from edge.signal_path import path_config

    return path_config(path)


def test_the_level_at_full_contraction_becomes_its_part_of_int8() -> None:
    path = trained(path_of(bits=16, shift=12, channels=2, window=500, hop=500))
    rng = np.random.default_rng(1)
    mvc = np.rint(rng.laplace(0, 1, (3000, 2)) * [300, 2000]).astype(np.int64)
    found = calibrated(path, mvc // 50, mvc, headroom=8.0)
    windows, _ = PathRunner(found.applied_to(path, BUNDLE)).windows(mvc)
    got = np.abs(windows.astype(np.float64)).mean(axis=(0, 1))
    np.testing.assert_allclose(got, 127 / 8, rtol=0.02)


def noise(samples: int = 200, loud: int = 9000) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(-loud, loud, (samples, 3))


def test_refusals_name_channel_and_reason() -> None:
    path = trained(path_of((BIPOLAR,), bits=16, shift=8, channels=3, settle=5))
    rest, mvc = noise(loud=90), noise()
    at_limit = mvc.copy()
    at_limit[::15, 1] = -(2**15)
    with pytest.raises(InnervateError, match=r"limits \(channel c1\)"):
        calibrated(path, rest, at_limit)
    with pytest.raises(InnervateError, match="limits"):
        Calibrator(path, BUNDLE).rest(at_limit)
    same = mvc.copy()
    same[:, 2] = same[:, 1]
    with pytest.raises(InnervateError, match=r"flat \(channel b\)"):
        calibrated(path, rest, same)
    quiet = mvc // 90
    with pytest.raises(InnervateError, match=r"1\.5 times as loud .* \(channel a\)"):
        calibrated(path, rest, quiet)
    with pytest.raises(InnervateError, match="before the filters have settled"):
        calibrated(path, rest[:5], mvc)
    with pytest.raises(InnervateError, match="rest phase is missing"):
        Calibrator(path, BUNDLE).mvc(mvc)
    for headroom in (0.0, 256.0, float("nan")):
        with pytest.raises(InnervateError, match="headroom"):
            Calibrator(path, BUNDLE, headroom)


def test_limits_of_the_refusals() -> None:
    """One sample of 16 at the limits, one count, and 1.5 times the rest level still pass."""
    path = path_of(bits=16, shift=8)
    few = np.full((160, 1), 10)
    few[::16] = 2**15 - 1
    assert calibrated(path, np.ones((9, 1), int), few).rest == (256,)
    few[1] = 2**15 - 1
    with pytest.raises(InnervateError, match="limits"):
        calibrated(path, np.ones((9, 1), int), few)
    one = np.ones((100, 1), int)
    assert calibrated(path, 0 * one, one).mvc == (256,)
    one[0] = 0
    with pytest.raises(InnervateError, match="flat"):
        calibrated(path, 0 * one, one)
    assert calibrated(path, np.full((9, 1), 8), np.full((9, 1), -12)).mvc == (12 * 256,)
    with pytest.raises(InnervateError, match=r"1\.5 times"):
        calibrated(path, np.full((9, 1), 8), np.r_[np.full(99, 12), 11][:, None])


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 2), st.integers(1, 2**32 - 1))
def test_proportion(level: int, rest: int, range_: int) -> None:
    mvc = min(rest + range_, 2**32 - 1)
    got = lib.nrv_proportion(level, rest, mvc)
    exact = min(max(Fraction(level - rest, mvc - rest), Fraction(0)), Fraction(1))
    assert abs(Fraction(got, PROPORTION_ONE) - exact) <= Fraction(1, 2 * PROPORTION_ONE)


def test_proportion_of_windows() -> None:
    found = Calibration(BUNDLE[:16], ("a", "b"), (100, 50), (1100, 250), (1, 1), (0, 0))
    filtered = np.array([[600, -150], [-601, 149], [-599, -151]], np.int32)
    assert mean_levels(filtered).tolist() == [600, 150]
    assert found.proportion(mean_levels(filtered)).tolist() == [PROPORTION_ONE // 2] * 2
    assert found.proportion(np.array([[[100, 50]], [[1100, 250]]])).tolist() == [[[0, 0]], [[32768, 32768]]]
    lowest = np.array([[-(2**31)], [2**31 - 1]], np.int32)
    assert mean_levels(lowest).tolist() == [2**31]  # halves upwards
    with pytest.raises(InnervateError, match="2 channels"):
        found.proportion(np.zeros(3, int))


FOUND = Calibration(BUNDLE[:16], ("c0", "c1"), (7, 2**31), (14, 2**32 - 1), (2**31 - 1, 1), (0, 31))


def by_hand(*, magic: bytes = b"NRVC\x01", outputs: int = 2, found: Calibration = FOUND) -> bytes:
    body = magic + bytes([outputs, 0, 0]) + bytes.fromhex(found.bundle)
    rows = zip(found.rest, found.mvc, found.multiplier, found.right_shift, strict=True)
    for *words, shift in rows:
        body += b"".join(word.to_bytes(4, "little") for word in words) + bytes([shift])
    return body + zlib.crc32(body).to_bytes(4, "little")


def test_record_is_as_documented_and_comes_back() -> None:
    path = path_of(channels=2)
    assert FOUND.record() == by_hand()
    assert len(by_hand()) == record_size(2)
    assert Calibration.from_record(by_hand(), path, BUNDLE) == FOUND
    assert FOUND.applied_to(path, BUNDLE).multiplier == FOUND.multiplier
    assert FOUND.applied_to(path, BUNDLE).right_shift == FOUND.right_shift


def test_damaged_and_foreign_records_are_refused() -> None:
    path = path_of(channels=2)
    record = by_hand()
    damaged = [record[:n] for n in range(len(record))] + [record + b"\0", b"\xff" * 46]
    for bit in range(8 * len(record)):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(changed))
    replace = msgspec.structs.replace
    damaged += [
        by_hand(magic=b"NRVD\x01"),
        by_hand(magic=b"NRVC\x02"),
        by_hand(outputs=3),
        by_hand(found=replace(FOUND, right_shift=(0, 32))),
        by_hand(found=replace(FOUND, multiplier=(0, 1))),
        by_hand(found=replace(FOUND, multiplier=(2**31, 1))),
        by_hand(found=replace(FOUND, mvc=(7, 2**32 - 1))),
    ]
    for one in damaged:
        with pytest.raises(InnervateError, match="damaged"):
            Calibration.from_record(one, path, BUNDLE)
    with pytest.raises(InnervateError, match="another bundle"):
        Calibration.from_record(record, path, BUNDLE[::-1])
    with pytest.raises(InnervateError, match="another bundle"):
        Calibration.from_record(record, path_of(channels=3), BUNDLE)
    for wrong in (
        replace(FOUND, bundle="zz"),
        replace(FOUND, bundle="00"),
        replace(FOUND, rest=(1,)),
        replace(FOUND, rest=(-1, 0)),
        replace(FOUND, channels=("a",)),
    ):
        with pytest.raises(InnervateError, match="damaged"):
            wrong.applied_to(path, BUNDLE)


def test_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "made" / "me.json"
    FOUND.save(file)
    assert Calibration.load(file) == FOUND
    with monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InnervateError, match="No space left"):
            msgspec.structs.replace(FOUND, rest=(1, 2)).save(file)
    assert Calibration.load(file) == FOUND
    assert [p.name for p in file.parent.iterdir()] == ["me.json"]
    file.write_text('{"bundle": "x"}')
    with pytest.raises(InnervateError, match="no calibration"):
        Calibration.load(file)
    with pytest.raises(InnervateError, match="cannot be read"):
        Calibration.load(tmp_path / "none.json")
