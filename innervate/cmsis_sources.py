"""Fetches the sources of CMSIS-DSP, the peer of the filters, from the Python package index."""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from edge.errors import InnervateError

VERSION: Final = "1.10.3"
_SHA256: Final = "307d32298faa7c58db912851027fce35f886fec7eb1a27c4b309ce1a97f47519"
_FOLDERS: Final = ("Source/FilteringFunctions/", "Include/", "PrivateInclude/")
_FETCH_SECONDS: Final = 600.0


def cmsis_sources() -> Path:
    """Return the folder of the sources; they are downloaded the first time and kept in the user's cache.

    Raises:
        InnervateError: they are not there and cannot be downloaded.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "innervate"
    folder = cache / f"cmsisdsp-{VERSION}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as name:
        work = Path(name)
        _unpack(_download(work), work / "sources")
        try:
            (work / "sources").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return folder


def _download(work: Path) -> Path:
    wanted = work / "requirements.txt"
    wanted.write_text(f"cmsisdsp=={VERSION} --hash=sha256:{_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", "cmsisdsp", "--require-hashes", "-r", str(wanted), "-d", str(work)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
        failure = done.returncode != 0
    except subprocess.TimeoutExpired:
        failure = True
    if failure:
        raise InnervateError(
            f"the sources of CMSIS-DSP {VERSION} could not be downloaded",
            "package index",
            "Connect to the network once, or leave the comparison out with --no-peer",
        )
    return work / f"cmsisdsp-{VERSION}.tar.gz"


def _unpack(archive: Path, folder: Path) -> None:
    """Take out what the filters need; the archive's hash has been checked."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = member.name.partition("/")[2]
            content = tar.extractfile(member) if member.isfile() and path.startswith(_FOLDERS) else None
            if content is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content.read())
