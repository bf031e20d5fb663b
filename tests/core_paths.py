"""Small signal paths for the tests of the core."""

from edge import Cascade, Gates, Section, SignalPath, Stage

GATES = Gates()


def path_of(
    stages: tuple[Stage, ...] = (),
    *,
    bits: int = 24,
    shift: int = 6,
    channels: int = 1,
    settle: int = 0,
    window: int = 4,
    hop: int = 2,
    right_shift: int = 8,
    gates: Gates = GATES,
) -> SignalPath:
    """A path at 1000 Hz that scales every channel by 2^-(right_shift + 1)."""
    outputs = channels
    for stage in stages:
        outputs = len(stage.outputs(tuple(f"c{i}" for i in range(outputs))))
    return SignalPath(
        channels=tuple(f"c{i}" for i in range(channels)),
        fs_hz=1000.0,
        uv_per_count=1.0,
        counts_bits=bits,
        shift=shift,
        stages=stages,
        filters=(),
        settle=settle,
        group_delay_ms=0.0,
        window=window,
        hop=hop,
        multiplier=(1 << 30,) * outputs,
        right_shift=(right_shift,) * outputs,
        gates=gates,
    )


def sections_of(stages: tuple[Stage, ...]) -> tuple[Section, ...]:
    """All sections of a path's cascades, in order."""
    return tuple(section for stage in stages if isinstance(stage, Cascade) for section in stage.sections)
