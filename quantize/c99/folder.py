"""Writing a folder whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import InnervateError

# Only a folder that holds this file is one of ours and may be replaced.
MARK = "report.json"


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a new folder beside `out` to write into; it takes `out`'s place when all went well.

    Raises:
        InnervateError: `out` holds something else than generated C, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).is_file())):
        raise InnervateError("Not overwriting what is not generated C", str(out), "Choose another folder")
    folder = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        yield folder
        folder.chmod(0o755)
        _replace(folder, out)
    except OSError as error:
        where = f"{out}: {error.strerror}"
        raise InnervateError("Cannot write the generated C", where, "Choose another folder") from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, out: Path) -> None:
    if not out.exists():
        os.replace(folder, out)  # noqa: PTH105
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
    os.replace(out, old / out.name)  # noqa: PTH105
    os.replace(folder, out)  # noqa: PTH105
    shutil.rmtree(old)
