"""The page of `innervate inspect --plots`: true to the signal path, complete for every kind of it."""

import dataclasses
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy import signal

from edge.bundle import Bundle
from edge.filters import Filter
from edge.signal_path import SignalPath
from innervate.report.inspection import write_inspection
from tests.tiny_bundle import FS_HZ, tiny_bundle, tiny_path
from train.filter_design import design
from train.filter_response import path_response


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


def page_of(bundle: Bundle, tmp_path: Path) -> str:
    return write_inspection(bundle, tmp_path / "page.html").read_text("utf-8")


def with_path(bundle: Bundle, path: SignalPath) -> Bundle:
    return dataclasses.replace(bundle, pipeline=msgspec.structs.replace(bundle.pipeline, signal_path=path))


def test_the_page_has_every_picture_and_the_delay(bundle: Bundle, tmp_path: Path) -> None:
    page = page_of(bundle, tmp_path)
    for words in (
        "gain, dB",
        "group delay, ms",
        "rounding noise, dB/Hz",
        "cascade 0, section 2",
        "Delay budget",
    ):
        assert words in page
    # 40 samples and hops of 20 at 500 Hz, two of three votes: half a window, half a hop, one more hop.
    mean = 40.0 + 20.0 + 40.0 + bundle.signal_path.group_delay_ms
    assert re.search(rf"{mean:.1f}\s*ms", page.replace("\u00a0", " "))
    assert bundle.hash in page


def test_a_path_with_a_rectifier_has_two_rows(bundle: Bundle, tmp_path: Path) -> None:
    path = bundle.signal_path
    filters = (Filter("bandpass", (20.0, 200.0)), Filter("envelope", (5.0,), family="fir"))
    made = design(filters, FS_HZ, 16)
    path = msgspec.structs.replace(path, stages=made.stages, filters=filters, shift=made.shift)
    page = page_of(with_path(bundle, path), tmp_path)
    assert "before rectifier: gain, dB" in page
    assert "rectify 1" in page
    assert "fir 2" in page


def test_a_path_without_filters_is_drawn_too(bundle: Bundle, tmp_path: Path) -> None:
    path = msgspec.structs.replace(bundle.signal_path, stages=(), filters=(), group_delay_ms=0.0)
    assert "Filters: none." in page_of(with_path(bundle, path), tmp_path)


def test_limits_of_the_task_are_drawn_and_others_are_not(bundle: Bundle, tmp_path: Path) -> None:
    limits = {"preferred_ms": 50.0, "limit_ms": 100.0}
    slow = dataclasses.replace(bundle, card=bundle.card | {"delay_limits": limits})
    assert "above the limit" in page_of(slow, tmp_path)
    strange = dataclasses.replace(bundle, card=bundle.card | {"delay_limits": "soon"})
    assert "the limit" not in page_of(strange, tmp_path)


def test_what_is_drawn_is_the_response_of_the_filters_asked_for() -> None:
    path = tiny_path()
    (segment,) = path_response(path).segments
    band = signal.butter(2, (20.0, 200.0), "bandpass", fs=FS_HZ)
    notch = signal.iirnotch(50.0, 5.0, FS_HZ)
    wanted = 1.0 + 0.0j
    for b, a in (band, notch):
        wanted = wanted * signal.freqz(b, a, segment.freqs_hz, fs=FS_HZ)[1]
    passes = np.abs(wanted) > 1e-3
    for drawn in (segment.design_db, segment.quantized_db):
        assert np.abs(drawn - 20 * np.log10(np.abs(wanted) + 1e-300))[passes].max() < 1e-3
