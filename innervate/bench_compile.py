"""What compiled models cost on an emulated board, beside stored figures of another runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from innervate.verbs.quantizing import read_model
from quantize.c99.bench import Figures, measure_model
from quantize.c99.profile import board_of


@dataclass(frozen=True)
class PeerFigures:
    """What one model takes in the peer: instructions a window, bytes; None where it was not recorded."""

    macs: int
    instructions: int
    code_bytes: int | None = None
    arena_bytes: int | None = None
    stack_bytes: int | None = None


PEER: Final = "TensorFlow Lite Micro with CMSIS-NN"
CONDITIONS: Final = (
    "its best build flags, arm-none-eabi-gcc 12.2, one window, instructions counted in QEMU "
    "(-icount shift=0), code: flash less the model file; measured 2026-11"
)
PEERS: Final = {
    "mps2-an386": {
        "emg_cnn": PeerFigures(346_112, 1_074_800, 46_900, 5_684, 836),
        "eegnet": PeerFigures(1_114_624, 8_900_400, 55_300, 22_516, 876),
        "acharya13": PeerFigures(871_658, 6_861_700, 46_600, 27_972, 876),
        "lstm": PeerFigures(256_192, 1_326_000, 56_000, 5_348, 1_476),
        "dscnn": PeerFigures(2_656_768, 7_422_700, 54_400, 22_820, 876),
    },
    # Cortex-M55 with Helium: sizes were not recorded.
    "mps3-an547": {
        "emg_cnn": PeerFigures(346_112, 358_800),
        "eegnet": PeerFigures(1_114_624, 3_895_500),
        "acharya13": PeerFigures(871_658, 2_098_300),
        "lstm": PeerFigures(256_192, 605_300),
        "dscnn": PeerFigures(2_656_768, 1_779_600),
    },
}
"""By emulated board, by model; figures of the peer were emulated on that board, too."""


@dataclass(frozen=True)
class Row:
    """A model's figures and, where they are stored for this model on this board, the peer's."""

    own: Figures
    peer: PeerFigures | None

    def ratio(self, field: str) -> float | None:
        """Return ours over the peer's, of a field of `PeerFigures`; None where it was not recorded."""
        theirs = self.peer and getattr(self.peer, field, None)
        return float(getattr(self.own, field) / theirs) if theirs else None


def rows(files: Sequence[Path], target: str, optimize: str = "speed") -> list[Row]:
    """Compile models and run each once on the emulated board that has the target's processor.

    Args:
        files: bundles (.nrv) or .tflite files; the name of one without its suffix finds the peer's figures,
            if the multiply-accumulates agree.
        target: a key of `quantize.c99.kernels.TARGETS`.
        optimize: a key of `quantize.c99.kernels.WAYS`.

    Raises:
        InnervateError: a file cannot be used, no board has such a processor, or a compiler or the emulator
            is missing.
    """
    made, board = [], board_of(target)
    for file in files:
        own = measure_model(read_model(file), file.stem, board, target, str(file), optimize)
        peer = PEERS.get(board, {}).get(file.stem)
        made.append(Row(own, peer if peer and peer.macs == own.macs else None))
    return made
