"""The firmware under address and undefined-behaviour sanitizers, fed frames that nobody should send."""

import random
import shutil
from pathlib import Path

import pytest

from edge import frames, wire
from edge.device import Device
from edge.firmware import boards
from edge.firmware.boards import load_board
from edge.link import Link
from edge.messages import Reset, Samples, Stall, Start
from tests.tiny_bundle import CHANNELS, tiny_bundle, tiny_counts
from tests.tiny_firmware import build_tiny, need_board

SANITIZE = '"-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"'
MESSAGES, BURST = 4000, 100


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Firmware of the host board, built as a board of its own with sanitizers."""
    need_board("host")
    folder = tmp_path_factory.mktemp("sanitized")
    shutil.copytree(load_board("host").folder, folder / "boards" / "checked")
    toml = folder / "boards" / "checked" / "board.toml"
    toml.write_text(
        toml.read_text()
        .replace('"-O2"', SANITIZE)
        .replace('"-pthread"', '"-pthread", "-fsanitize=address,undefined"')
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boards, "BOARDS", folder / "boards")
        return build_tiny(tiny_bundle(), "checked", folder).path


def random_message(rng: random.Random) -> bytes:
    """A frame with a right CRC and anything in it, more often something that is nearly right."""
    known = [cls for cls in wire.TYPES.values() if cls not in (Reset, Stall)]
    kind = rng.choice(known)
    size = rng.choice([0, kind.LAYOUT.size, kind.LAYOUT.size, rng.randrange(wire.MAX_PAYLOAD + 1)])
    payload = bytes(rng.choice([0, 1, 255, rng.randrange(256)]) for _ in range(size))
    if kind is Samples and rng.random() < 0.8:
        width, count = rng.randrange(1, 5), rng.randrange(0, 10)
        index = rng.choice([0, 5, 2**31, 2**32 - 1, rng.randrange(2**32)])
        payload = Samples(index, width, count, 0, rng.randbytes(width * count * CHANNELS)).encode()
    if kind is Start and rng.random() < 0.8:
        payload = Start(rng.randrange(256), rng.choice([0, 1, 255])).encode()
    return frames.encode(
        rng.choice([kind.ID] * 9 + [rng.choice([0, 8, 0x7F, 0xFF])]), rng.randrange(65536), payload
    )


def test_nonsense_breaks_nothing(sanitized: Path) -> None:
    rng = random.Random(20261122)
    with Link.open("host:", sanitized) as link:
        for _ in range(MESSAGES // BURST):
            for _ in range(BURST):
                link.device.write(
                    rng.randbytes(rng.randrange(40)) if rng.random() < 0.1 else random_message(rng)
                )
            drain(link.device)
        link.hello()
        # It still works as if nothing had been.
        link.start()
        counts = tiny_counts()
        assert len(list(link.stream(counts))) == len(tiny_bundle().golden.decision_label)


def drain(device: Device) -> None:
    while device.read():
        pass
