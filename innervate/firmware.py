"""From a bundle to the firmware of a board."""

import tempfile
from pathlib import Path

from edge.bundle import Bundle
from edge.errors import InnervateError
from edge.firmware.boards import load_board
from edge.firmware.build import Firmware, build
from quantize.c99 import emit
from quantize.c99.streaming.hops import saving_hop


def board_of(url: str) -> str | None:
    """The board whose firmware this program brings itself: that of `host:` and `qemu:BOARD`; else None."""
    if url == "host:":
        return "host"
    return url.removeprefix("qemu:") if url.startswith("qemu:") else None


def build_firmware(bundle: Bundle, board: str, out: Path) -> Firmware:
    """Generate the model's C and build the firmware of a bundle.

    It computes what each window adds to the one before where that saves much and the board has the memory.

    Raises:
        InnervateError: unknown board, compiler missing, an unsupported operator, or too large a model.
    """
    target = load_board(board).target  # an unknown board is named before anything is generated
    with tempfile.TemporaryDirectory(prefix="innervate-model-") as folder:
        model_dir = Path(folder) / "model"
        hop = saving_hop(bundle.model, bundle.signal_path, target)
        if hop:
            emit(bundle.model, "model", model_dir, target, hop=hop)
            try:
                return build(bundle, board, model_dir, out)
            except InnervateError:
                pass  # too large, or wrong in a way that the whole window shows as well
        emit(bundle.model, "model", model_dir, target)
        return build(bundle, board, model_dir, out)
