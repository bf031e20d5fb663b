"""Fixtures that several test files share."""

import os
import subprocess
from pathlib import Path

import pytest

# As the command line does: see innervate/cli.py.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def _find_recordings() -> Path | None:
    """$INNERVATE_RECORDINGS, then the default cache, then unpacked from ../shared where that exists."""
    named = os.environ.get("INNERVATE_RECORDINGS")
    if named:
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "innervate" / "recordings"
    unpack = Path(__file__).parents[2] / "shared" / "data" / "unpack"
    if not cache.is_dir() and unpack.is_file():
        subprocess.run(["bash", str(unpack), str(cache)], check=True, stdout=subprocess.DEVNULL)
    return cache if cache.is_dir() else None


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings; skips where there are none."""
    folder = _find_recordings()
    if folder is None or not folder.is_dir():
        pytest.skip("no recordings: set INNERVATE_RECORDINGS to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def anchors() -> Path:
    """The folder of int8 anchor models with reference outputs; skips where there is none."""
    named = os.environ.get("INNERVATE_ANCHORS")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "anchors" / "models"
    if not folder.is_dir():
        pytest.skip("no anchor models: set INNERVATE_ANCHORS to a folder that holds them")
    return folder
