"""Counts in, decisions out: the chain of the core round an engine."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.bundle import Bundle
from edge.calibration import HEADROOM, Calibration, Calibrator
from edge.chain import Chain, Event
from edge.context import vector
from edge.decision import Decision
from edge.engines import Engine
from edge.errors import InnervateError


class Pipeline:
    """A bundle running on an engine; the same decisions however the samples are cut into chunks.

    Args:
        bundle: signal path, labels and decision rule.
        engine: runs the bundle's model, for this pipeline alone where the bundle keeps its state.
        calibration: the wearer's scale instead of the trained one; None for the trained.
        context: what is known of the wearer, by name and in each field's unit, or int8 [F] as
            `edge.context.quantize` gives it; what is not given counts as the mean.

    Raises:
        InnervateError: the engine runs a model of another shape or treats its state in another way than the
            bundle says, the calibration is another bundle's, or the context does not fit the bundle's fields.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        calibration: Calibration | None = None,
        context: Mapping[str, float | None] | NDArray[np.int8] | None = None,
    ) -> None:
        spec = bundle.pipeline
        rows, columns = bundle.signal_path.model_shape
        got = math.prod(engine.input_shape), engine.input_shape[-1], engine.context_size, engine.output_size
        if got != (spec.model.chunk * columns, columns, len(spec.context), len(bundle.labels)):
            raise InnervateError(
                f"the engine's model takes {engine.input_shape} and gives {engine.output_size} values, "
                f"the bundle needs {rows} x {columns} and {len(bundle.labels)}",
                engine.name,
                "Make the engine from the bundle's own model",
            )
        if engine.keeps_state != spec.keeps_state:
            raise InnervateError(
                f"the engine keeps its state {'' if engine.keeps_state else 'not '}from window to window, "
                f"the bundle {'does' if spec.keeps_state else 'does not'}",
                engine.name,
                f"Make the engine with keeps_state={spec.keeps_state}",
            )
        self.bundle, self.engine = bundle, engine
        self.tell(context)
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
                self.engine.reset()
                decisions.append(self._chain.gap())
            if event & Event.WINDOW:
                start = time.perf_counter_ns()
                output = self.engine.run(self._chain.window, self._context)
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
        self.engine.reset()

    def tell(self, context: Mapping[str, float | None] | NDArray[np.int8] | None) -> None:
        """Tell the model of another wearer, from the next window on; as the argument of the constructor.

        Raises:
            InnervateError: it does not fit the bundle's fields; what was told before stays.
        """
        self._context = vector(self.bundle.pipeline.context, context)

    def stale(self) -> Decision:
        """Say that no samples came in time: votes are cleared, and there is no decision."""
        return self._chain.stale()

    def reset(self) -> None:
        """Return to the start: filters, window, votes, counters and the model's state."""
        self._chain.reset()
        self.engine.reset()

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
