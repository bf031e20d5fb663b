"""A few seconds of the fuzzer, and that it would notice."""

import struct
from pathlib import Path

import pytest

from edge.errors import InnervateError
from tests import fuzz_tflite

SEED = 20261122


def test_no_file_does_harm() -> None:
    anchors = Path(__file__).parents[2] / "shared" / "anchors" / "models"
    tried, faults = fuzz_tflite.run(5, SEED, fuzz_tflite.seeds(anchors))
    assert not faults, "\n".join(faults)
    assert tried > 20


def test_the_seeds_are_sound() -> None:
    readers = fuzz_tflite._readers()
    for file in fuzz_tflite.seeds():
        assert fuzz_tflite.harmful(file, readers) == ""


def _refuse(data: bytes) -> None:
    raise InnervateError("two\nlines")


def _stumble(data: bytes) -> None:
    struct.unpack("<I", data[:1])


def _never_end(data: bytes) -> None:
    while True:
        pass


@pytest.mark.parametrize("reader", [_refuse, _stumble, _never_end])
def test_harm_is_noticed(reader: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_tflite, "LIMIT_S", 1)
    monkeypatch.setattr(fuzz_tflite, "_readers", lambda: [("reader", reader)])
    tried, faults = fuzz_tflite.run(60, SEED, fuzz_tflite.seeds()[:3], most_faults=1)
    assert tried == 1
    assert len(faults) == 1
