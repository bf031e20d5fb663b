"""Counts in, decisions out: the chain of the core round an engine."""

import math
import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.bundle import Bundle
from edge.calibration import HEADROOM, Calibration, Calibrator
from edge.chain import Chain, Event
from edge.decision import Decision
from edge.engines import Engine
from edge.errors import InnervateError


class Pipeline:
    """A bundle running on an engine; the same decisions however the samples are cut into chunks.

    Args:
        bundle: signal path, labels and decision rule.
        engine: runs the bundle's model.
        calibration: the wearer's scale instead of the trained one; None for the trained.

    Raises:
        InnervateError: the engine runs a model of another shape, or the calibration is another bundle's.
    """

    def __init__(self, bundle: Bundle, engine: Engine, calibration: Calibration | None = None) -> None:
        path = bundle.signal_path
        channels = len(path.outputs)
        wanted = path.window * channels, channels, len(bundle.labels)
        if (math.prod(engine.input_shape), engine.input_shape[-1], engine.output_size) != wanted:
            raise InnervateError(
                f"the engine's model takes {engine.input_shape} and gives {engine.output_size} values, "
                f"the bundle needs {path.window} x {channels} and {len(bundle.labels)}",
                engine.name,
                "Make the engine from the bundle's own model",
            )
        self.bundle, self.engine = bundle, engine
        self.use(calibration)

    @property
    def gaps(self) -> int:
        """Times that samples were lost since the last reset."""
        return self._chain.gaps

    @property
    def late(self) -> int:
        """Samples ignored since the last reset because they came twice or too late."""
        return self._chain.late

    @property
    def spoiled(self) -> int:
        """Windows since the last reset whose quality forbade a decision."""
        return self._chain.spoiled

    def push(self, counts: ArrayLike, first_index: int | None = None, lead_off: int = 0) -> list[Decision]:
        """Take counts [n, channels] and return the decisions they bring, in order.

        Args:
            counts: integers; one sample may be given as [channels].
            first_index: index of the first sample, modulo 2^32; None for the one expected next.
            lead_off: bit c: the front end says that the electrode of channel c was off, as for `Chain.feed`.

        Raises:
            InnervateError: values that are not integers (NaN, microvolts), another number of channels, or
                lead_off of more than 32 bits.
        """
        samples = self._samples(counts)
        decisions: list[Decision] = []
        for event in self._chain.feed(samples, first_index, lead_off):
            if event & Event.GAP:
                decisions.append(self._chain.gap())
            if event & Event.WINDOW:
                start = time.perf_counter_ns()
                output = self.engine.run(self._chain.window)
                elapsed_us = (time.perf_counter_ns() - start) / 1000
                decisions.append(self._chain.decide(output, elapsed_us))
        return decisions

    def calibrate(self, rest: ArrayLike, mvc: ArrayLike, headroom: float = HEADROOM) -> Calibration:
        """Calibrate to a wearer, reset, and go on with the scale found.

        Args:
            rest: counts [n, channels] of the muscle at rest, some seconds.
            mvc: counts [n, channels] of the movements in turn, as hard as can be.
            headroom: times the MVC level that becomes full scale of int8.

        Raises:
            InnervateError: as `edge.calibration.Calibrator`; the scale in use stays.
        """
        calibrator = Calibrator(self.bundle.signal_path, self.bundle.hash, headroom)
        calibrator.rest(self._samples(rest))
        calibration = calibrator.mvc(self._samples(mvc))
        self.use(calibration)
        return calibration

    def use(self, calibration: Calibration | None) -> None:
        """Reset and go on with a calibration's scale, or for None with the trained one.

        Raises:
            InnervateError: the calibration is another bundle's; the scale in use stays.
        """
        path = self.bundle.signal_path
        if calibration is not None:
            path = calibration.applied_to(path, self.bundle.hash)
        self._chain = Chain(path, self.bundle.rule, len(self.bundle.labels))
        self.calibration = calibration

    def stale(self) -> Decision:
        """Say that no samples came in time: votes are cleared, and there is no decision."""
        return self._chain.stale()

    def reset(self) -> None:
        """Return to the start: filters, window, votes and counters."""
        self._chain.reset()

    def _samples(self, counts: ArrayLike) -> NDArray[np.integer[Any]]:
        samples = np.asarray(counts)
        channels = self.bundle.signal_path.channels
        if samples.ndim == 1 and len(samples) == len(channels):
            samples = samples[None]
        if samples.ndim != 2 or samples.shape[1] != len(channels):
            raise InnervateError(
                f"samples of shape {samples.shape} for {len(channels)} channels ({', '.join(channels)})",
                "pipeline",
                f"Give an array [samples, {len(channels)}]",
            )
        if not np.issubdtype(samples.dtype, np.integer):
            nan = np.issubdtype(samples.dtype, np.floating) and not np.isfinite(samples).all()
            raise InnervateError(
                f"the samples are {samples.dtype}{' with NaN or infinity' if nan else ''}, not whole counts",
                "pipeline",
                "Give the converter's integer counts",
            )
        return samples
