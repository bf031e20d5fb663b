"""Times of calls on this host."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

_ROUNDS: Final = 30
_ROUND_SECONDS: Final = 0.002


def least_us(calls: Sequence[Callable[[], Any]]) -> list[float]:
    """Return each call's least time, us. They take turns, so that what else the machine does falls on all."""
    repeats = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        repeats.append(max(1, math.ceil(_ROUND_SECONDS / max(time.perf_counter() - start, 1e-7))))
    least = [math.inf] * len(calls)
    for _ in range(_ROUNDS):
        for k, (call, count) in enumerate(zip(calls, repeats, strict=True)):
            start = time.perf_counter()
            for _ in range(count):
                call()
            least[k] = min(least[k], (time.perf_counter() - start) / count * 1e6)
    return least
