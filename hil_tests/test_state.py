"""What a model goes by beside the window: the state it keeps from window to window, and the context."""

import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.errors import InnervateError
from edge.golden import Golden
from edge.link import Link, Traced
from edge.messages import Trace
from edge.pipeline import Pipeline
from hil_tests.parity import compare

WINDOWS = 4
"""Before and after a gap."""


def outputs_of(link: Link, counts: NDArray[np.integer[Any]], first: int = 0) -> NDArray[np.int8]:
    """Stream counts and return what the model made of each window, int8 [W, K]."""
    events = [event for event in link.stream(counts, first) if isinstance(event, Traced)]
    return np.array([event.values for event in events], np.int8)


def host_outputs(
    pipeline: Pipeline, windows: NDArray[np.int8], context: NDArray[np.int8]
) -> NDArray[np.int8]:
    """What the host's model makes of windows after a reset, int8 [W, K]."""
    pipeline.engine.reset()
    return np.array([pipeline.engine.run(window, context) for window in windows], np.int8)


def differing(expected: NDArray[np.int8], got: NDArray[np.int8]) -> str:
    """Say where two arrays of outputs differ; empty if nowhere."""
    return compare("output", expected, got).first


def test_state_starts_anew_after_a_gap(
    link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle
) -> None:
    """With the same samples before and after it, the outputs are the same on both sides of a gap."""
    path = bundle.signal_path
    counts = golden.counts[: path.samples_for(WINDOWS)]
    expected = host_outputs(pipeline, golden.windows[:WINDOWS], golden.context)
    if path.gain_control is not None:
        pytest.skip("gain control goes on through a gap")
    link.start(Trace.OUTPUT)
    assert not differing(expected, outputs_of(link, counts))
    assert not differing(expected, outputs_of(link, counts, 2 * len(counts)))
    assert link.status().gaps == 1


def test_state_is_as_the_bundle_says(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle) -> None:
    """The same window again and again: the same output where each is for itself, the host's where not."""
    windows = np.repeat(golden.windows[-1:], WINDOWS, axis=0)
    expected = host_outputs(pipeline, windows, golden.context)
    for _ in range(2):
        link.start()
        assert not differing(expected, np.stack([link.run_model(window)[0] for window in windows]))


def test_context_is_the_models(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle) -> None:
    """Every context gives the host's outputs, from the very next window on."""
    size = len(bundle.pipeline.context)
    if not size:
        pytest.skip("the model takes no context")
    told = [np.zeros(size, np.int8), golden.context, *np.full((2, size), [[-128], [127]], np.int8)]
    seen = set()
    for context in told:
        link.set_context(context)
        assert link.status().context_crc == zlib.crc32(context.tobytes())
        link.start()
        expected = host_outputs(pipeline, golden.windows[:1], context)
        assert not differing(expected, link.run_model(golden.windows[0])[0][None])
        seen.add(expected.tobytes())
    assert len(seen) > 1, "the context changes no output: the test shows nothing"
    link.start(Trace.OUTPUT)
    outputs, at, path = [], 0, bundle.signal_path
    for number, context in enumerate(told[:2]):
        link.set_context(context)
        end = path.samples_for(number + 1)
        outputs.append(outputs_of(link, golden.counts[at:end], at))
        at = end
    pipeline.engine.reset()
    expected = np.array([pipeline.engine.run(w, c) for w, c in zip(golden.windows, told[:2], strict=False)])
    assert not differing(expected, np.concatenate(outputs)), "a context told in a stream"


def test_context_of_another_size_is_refused(link: Link, golden: Golden, bundle: Bundle) -> None:
    size = len(bundle.pipeline.context)
    for wrong in {0, size - 1, size + 1, 200} - {-1, size}:
        with pytest.raises(InnervateError, match=f"takes a context of {size} values"):
            link.set_context(np.ones(wrong, np.int8))
    assert link.status().context_crc == zlib.crc32(golden.context.tobytes())


def test_context_is_forgotten_with_a_restart(link: Link, bundle: Bundle) -> None:
    size = len(bundle.pipeline.context)
    link.reset()
    assert link.status().context_crc == zlib.crc32(bytes(size))
