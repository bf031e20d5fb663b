"""Frames of the link, against zlib and a plain COBS in Python; the decoder under attack."""

import random
import zlib

import pytest
from edge._core import lib
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import InnervateError
from edge.frames import PAYLOAD_MAX, WIRE_MAX, Frame, FrameDecoder, encode


def cobs(data: bytes) -> bytes:
    """Cheshire and Baker 1999, below 254 bytes: each run between zeros, preceded by its length + 1."""
    assert len(data) < 254
    return b"".join(bytes([len(run) + 1]) + run for run in data.split(b"\0"))


def wire(frame_type: int, sequence: int, payload: bytes) -> bytes:
    body = bytes([frame_type]) + sequence.to_bytes(2, "little") + payload
    return cobs(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"


payloads = st.one_of(
    st.binary(max_size=PAYLOAD_MAX),
    st.lists(st.sampled_from([0, 0, 1, 255]), max_size=PAYLOAD_MAX).map(bytes),
)


@given(data=st.binary(max_size=600), cut=st.integers(0, 600))
def test_crc_is_that_of_zlib(data: bytes, cut: int) -> None:
    assert lib.nrv_crc32(0, data, len(data)) == zlib.crc32(data)
    head, tail = data[:cut], data[cut:]
    assert lib.nrv_crc32(lib.nrv_crc32(0, head, len(head)), tail, len(tail)) == zlib.crc32(data)


def test_crc_check_value() -> None:
    """The catalogue's check value of CRC-32/ISO-HDLC."""
    assert lib.nrv_crc32(0, b"123456789", 9) == 0xCBF43926


@given(frame_type=st.integers(0, 255), sequence=st.integers(0, 65535), payload=payloads)
def test_encoding(frame_type: int, sequence: int, payload: bytes) -> None:
    encoded = encode(frame_type, sequence, payload)
    assert encoded == wire(frame_type, sequence, payload)
    assert 0 not in encoded[:-1]
    assert FrameDecoder().feed(encoded) == [Frame(frame_type, sequence, payload, False)]


@pytest.mark.parametrize("size", [0, 1, PAYLOAD_MAX - 1, PAYLOAD_MAX])
@pytest.mark.parametrize("byte", [0, 1, 255])
def test_sizes_at_the_edges(size: int, byte: int) -> None:
    payload = bytes([byte]) * size
    encoded = encode(255, 65535, payload)
    assert len(encoded) == size + 9 <= WIRE_MAX
    assert FrameDecoder().feed(encoded) == [Frame(255, 65535, payload, False)]


def test_a_payload_too_long_is_refused() -> None:
    with pytest.raises(InnervateError, match="241 bytes"):
        encode(1, 0, bytes(PAYLOAD_MAX + 1))


@pytest.mark.parametrize("extra", [1, 5, 7, 300])
def test_a_frame_too_long_is_corrupt_and_the_next_is_not(extra: int) -> None:
    body = bytes(3 + PAYLOAD_MAX) + bytes(extra)
    long = cobs((body + zlib.crc32(body).to_bytes(4, "little"))[:253]) + b"\x01" * extra + b"\0"
    decoder = FrameDecoder()
    assert decoder.feed(long + encode(1, 5, b"ok")) == [Frame(1, 5, b"ok", False)]
    assert (decoder.good, decoder.corrupt) == (1, 1)


def test_zero_bytes_between_frames_are_nothing() -> None:
    decoder = FrameDecoder()
    assert len(decoder.feed(b"\0\0" + encode(1, 0) + b"\0\0\0" + encode(1, 1) + b"\0")) == 2
    assert (decoder.good, decoder.corrupt, decoder.lost) == (2, 0, 0)


def test_lost_duplicate_and_reordered_frames_are_counted() -> None:
    decoder = FrameDecoder()
    order = [65533, 65534, 65534, 1, 0, 2, 65535]
    frames = [frame for sequence in order for frame in decoder.feed(encode(7, sequence))]
    assert [f.sequence for f in frames] == order
    assert [f.behind for f in frames] == [False, False, True, False, True, False, True]
    assert (decoder.good, decoder.lost, decoder.behind, decoder.corrupt) == (4, 2, 3, 0)


def test_restart_accepts_any_sequence_number() -> None:
    decoder = FrameDecoder()
    decoder.feed(encode(1, 500))
    decoder.restart()
    assert decoder.feed(encode(1, 0)) == [Frame(1, 0, b"", False)]
    assert (decoder.good, decoder.lost, decoder.behind) == (2, 0, 0)
    decoder.reset()
    assert (decoder.good, decoder.lost, decoder.behind, decoder.corrupt) == (0, 0, 0, 0)


def damaged(rng: random.Random, frame: bytes) -> bytes:
    """A frame with bits flipped, bytes lost or added, or its end cut off. May hold zeros: several frames."""
    kind = rng.randrange(4)
    data = bytearray(frame)
    if kind == 0:
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        at = rng.randrange(len(data))
        del data[at : at + rng.randint(1, 20)]
    elif kind == 2:
        at = rng.randrange(len(data))
        data[at:at] = rng.randbytes(rng.randint(1, 300))
    else:
        data = data[: rng.randrange(1, len(data))]
    return bytes(data)


@pytest.mark.parametrize("seed", range(5))
def test_damage_is_never_taken_for_a_frame_and_costs_one_frame_at_most(seed: int) -> None:
    rng = random.Random(seed)
    decoder = FrameDecoder()
    sent, received, damages = [], [], 0
    stream = bytearray()
    for sequence in range(3000):
        frame = encode(rng.randrange(256), sequence, rng.randbytes(rng.randrange(PAYLOAD_MAX + 1)))
        if rng.random() < 0.3:
            broken = damaged(rng, frame)
            # A flip undone, or a frame whole with something around it, is not damage to be detected.
            if frame[:-1] in broken.split(b"\0"):
                continue
            damages += 1
            stream += broken
            # A lost end swallows the frame after it: a zero makes the next one stand alone.
            stream += b"\0"
        else:
            sent.append(FrameDecoder().feed(frame)[0])
            stream += frame
    while stream:
        size = rng.randint(1, 500)
        received += decoder.feed(bytes(stream[:size]))
        del stream[:size]
    assert received == sent
    assert decoder.good == len(sent)
    assert decoder.corrupt >= damages * 0.9
    assert decoder.behind == 0


def test_in_step_again_within_one_frame_without_a_closing_zero() -> None:
    rng = random.Random(9)
    for _ in range(300):
        decoder = FrameDecoder()
        cut = encode(3, 0, rng.randbytes(50))
        junk = cut[: rng.randrange(1, len(cut))].replace(b"\0", b"\1")
        frames = decoder.feed(junk + encode(1, 1, b"first") + encode(1, 2, b"second"))
        assert frames == [Frame(1, 2, b"second", False)]
        assert decoder.corrupt == 1


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=800))
def test_noise_yields_only_what_its_checksum_proves(noise: bytes) -> None:
    decoder = FrameDecoder()
    frames = decoder.feed(noise)
    chunks = noise.split(b"\0")[:-1]
    assert all(wire(f.type, f.sequence, f.payload)[:-1] in chunks for f in frames)
    assert decoder.good + decoder.behind + decoder.corrupt == sum(len(c) > 0 for c in chunks)
