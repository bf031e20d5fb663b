"""Golden vectors cut to length."""

from dataclasses import replace

from edge.golden import Golden


def head(golden: Golden, samples: int, decimation: int) -> Golden:
    """Return what the first ``samples`` samples give; one filtered sample comes of ``decimation``."""
    windows = int((golden.window_end < samples).sum())
    decisions = int((golden.decision_sample_index < samples).sum())
    return replace(
        golden,
        counts=golden.counts[:samples],
        filtered=golden.filtered[: -(-samples // decimation)],
        windows=golden.windows[:windows],
        outputs=golden.outputs[:windows],
        window_end=golden.window_end[:windows],
        decision_label=golden.decision_label[:decisions],
        decision_confidence=golden.decision_confidence[:decisions],
        decision_flags=golden.decision_flags[:decisions],
        decision_sample_index=golden.decision_sample_index[:decisions],
    )
