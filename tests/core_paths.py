"""Small signal paths for the tests of the core."""

from edge import Section, SignalPath


def path_of(
    sections: tuple[Section, ...] = (),
    *,
    bits: int = 24,
    shift: int = 6,
    channels: int = 1,
    settle: int = 0,
    window: int = 4,
    hop: int = 2,
    right_shift: int = 8,
    saturated_run: int = 1,
) -> SignalPath:
    """A path at 1000 Hz that scales every channel by 2^-(right_shift + 1)."""
    return SignalPath(
        channels=tuple(f"c{i}" for i in range(channels)),
        fs_hz=1000.0,
        uv_per_count=1.0,
        counts_bits=bits,
        shift=shift,
        sections=sections,
        filters=(),
        settle=settle,
        group_delay_ms=0.0,
        window=window,
        hop=hop,
        multiplier=(1 << 30,) * channels,
        right_shift=(right_shift,) * channels,
        saturated_run=saturated_run,
    )
