"""When a slow section comes to rest after its input has stopped.

With the weights 2 and -1 past errors are extrapolated exactly: while y = 0, the error e runs along a straight
line. Unless that is flat, y becomes 1 or -1 LSB now and then. Each of these puts -c1, then -c2 into the
accumulator, of which the core keeps what is above 2^-24: it acts as if the coefficients were rounded down to
24 bits. The line becomes flat if the section is stable for constants even then,

    2^24 + floor(2^24 a1) + floor(2^24 a2) >= 1,

and otherwise the LSBs go on for ever. That is an argument for slow poles, not a proof: tests run high-passes
on both sides of it, and those that meet it come to rest, those that do not keep moving.
"""

from typing import Final

RAMP: Final = (128, -64)
"""Weights of a section, in 64ths, that extrapolate past errors along a straight line."""

REST_UNIT: Final = 1 << 22
"""2^-24 in units of 2^-46, in which the denominator is kept."""


def rests(a: tuple[int, int]) -> bool:
    """Whether a section with weights RAMP and this denominator, a1 and a2 times 2^46, comes to rest."""
    return sum(value // REST_UNIT for value in a) + (1 << 24) >= 1
