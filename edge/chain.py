"""The chain around a model, over the C core that the firmware links too: `core/chain.h`."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge._core import ffi, lib
from edge.decision import Decision, DecisionRule, rule_config
from edge.path_runner import checked_counts, int32_pointer
from edge.quality import checked_lead_off
from edge.signal_path import SignalPath, path_buffers, path_config


class Event(enum.IntFlag):
    """What a sample brought about."""

    WINDOW = lib.NRV_EV_WINDOW
    GAP = lib.NRV_EV_GAP
    LATE = lib.NRV_EV_LATE


class Chain:
    """Signal path before a model, decision rule after it.

    The caller runs the model:

        for event in chain.feed(counts, first_index):
            if event & Event.GAP:
                decisions.append(chain.gap())
            if event & Event.WINDOW:
                decisions.append(chain.decide(engine.run(chain.window)))

    Args:
        path: validated here.
        rule: validated here.
        classes: outputs of the model.
    """

    def __init__(self, path: SignalPath, rule: DecisionRule, classes: int) -> None:
        self.path, self.rule, self.classes = path, rule, classes
        self._config, self._keep = path_config(path)
        self._rule = rule_config(rule, classes)
        self._words, self._window = path_buffers(self._config)
        self._chain = ffi.new("nrv_chain_t *")
        self._quality = ffi.new("nrv_channel_quality_t[]", len(path.channels))
        self._decision = ffi.new("nrv_decision_t *")
        lib.nrv_chain_init(
            self._chain,
            self._config,
            self._rule,
            ffi.from_buffer("int32_t[]", self._words, require_writable=True),
            ffi.from_buffer("int8_t[]", self._window, require_writable=True),
            self._quality,
        )

    @property
    def window(self) -> NDArray[np.int8]:
        """The window just completed, int8 [window, outputs]; overwritten by the next sample."""
        return self._window

    @property
    def expected(self) -> int:
        """Index that the next sample should have."""
        return int(self._chain.expected)

    @property
    def gaps(self) -> int:
        """Times that samples were lost since the last reset."""
        return int(self._chain.gaps)

    @property
    def late(self) -> int:
        """Samples ignored since the last reset because they came twice or too late."""
        return int(self._chain.late)

    @property
    def spoiled(self) -> int:
        """Windows since the last reset whose quality forbade a decision."""
        return int(self._chain.spoiled)

    def reset(self) -> None:
        """Go back to the start: filters, window, votes and counters."""
        lib.nrv_chain_reset(self._chain)

    def feed(
        self, counts: NDArray[np.integer[Any]], first_index: int | None = None, lead_off: int = 0
    ) -> Iterator[Event]:
        """Push counts [n, channels] and yield at each sample that brings a gap or a window.

        Both may come at once (a window of one sample); the gap is then the earlier. The samples after the
        one that raised an event are pushed only when the caller asks for the next event.

        Args:
            counts: integers [n, channels].
            first_index: index of counts[0], modulo 2^32; None for the one expected.
            lead_off: what the front end says of the electrodes during these samples: bit c set, that of
                channel c is off; bit 31 stands for all from channel 31 on.

        Raises:
            InnervateError: another number of channels, values that are not integers, or lead_off of more than
                32 bits.
        """
        counts = checked_counts(counts, len(self.path.channels))
        lead_off = checked_lead_off(lead_off)
        index = self.expected if first_index is None else first_index
        used = ffi.new("size_t *")
        start = 0
        while start < len(counts):
            rest = counts[start:]
            events = lib.nrv_chain_feed(
                self._chain, (index + start) & 0xFFFFFFFF, int32_pointer(rest), len(rest), lead_off, used
            )
            start += used[0]
            if event := events & (lib.NRV_EV_WINDOW | lib.NRV_EV_GAP):
                yield Event(event)

    def decide(self, output: NDArray[np.int8], compute_us: float | None = None) -> Decision:
        """Decide on the window just completed from the model's int8 output [classes]; once per window."""
        output = np.ascontiguousarray(output, np.int8).reshape(self.classes)
        lib.nrv_chain_decide(self._chain, ffi.cast("int8_t *", output.ctypes.data), self._decision)
        return Decision.from_core(self._decision, compute_us)

    def gap(self) -> Decision:
        """Answer Event.GAP: no decision."""
        lib.nrv_chain_gap(self._chain, self._decision)
        return Decision.from_core(self._decision)

    def stale(self) -> Decision:
        """Answer the want of samples: votes are cleared, no decision."""
        lib.nrv_chain_stale(self._chain, self._decision)
        return Decision.from_core(self._decision)
