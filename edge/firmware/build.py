"""Builds the firmware of a bundle for a board from application, core, generated model and constants."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge.bundle import Bundle
from edge.errors import InnervateError
from edge.firmware.boards import Board, load_board
from edge.firmware.config import ModelUse, config_c, config_h
from edge.messages import c_header

_HERE: Final = Path(__file__).parent
_CORE: Final = _HERE.parent / "core"

_CFLAGS: Final = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-pedantic",
    "-Werror",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-fstack-usage",
)
_LDFLAGS: Final = ("-Wl,--gc-sections", "-Wl,--build-id=none")
_CHECKS: Final = ("nrv_model_eats_windows", "nrv_model_gives_labels", "nrv_model_takes_hops")
"""Arrays in config.h whose size is negative where the model does not fit."""
_COMPILE_SECONDS: Final = 300.0
"""For one file; a model's weights of a few MB as C take a while."""


@dataclass(frozen=True)
class Firmware:
    """A firmware file and what is known of it.

    ``build_id`` is 32 hex digits over all sources, the bundle and the flags; equal ids are equal bytes with
    the same compiler. Sizes in bytes as the linker counts them: ``flash`` code and constants, ``ram`` data
    and stack (``host``: of the process's file, for comparison only). ``largest_frames``: functions with the
    largest stack frames.
    """

    path: Path
    board: str
    build_id: str
    bundle_hash: str
    flash: int
    ram: int
    largest_frames: tuple[tuple[str, int], ...]


def build(bundle: Bundle, board: str, model_dir: Path, out: Path) -> Firmware:
    """Build the firmware of a bundle into the file ``out``, wholly or not at all.

    Args:
        bundle: whose constants and hash go in.
        board: name of a folder in ``boards/``.
        model_dir: the C folder generated from the bundle's model.
        out: the file to write; its folder is made if missing.

    Raises:
        InnervateError: unknown board, compiler missing, no model in ``model_dir``, model and bundle disagree,
            firmware too large for the board.
    """
    target = load_board(board)
    if shutil.which(target.compiler) is None:
        raise InnervateError(
            f"the compiler {target.compiler} is missing",
            f"board {board}",
            f"Install it, on Debian and Ubuntu with: apt-get install {' '.join(target.packages)}",
        )
    bundle.pipeline.validate()
    files = _sources(bundle, target, model_dir)
    flags = (*_CFLAGS, *target.cflags)
    build_id = _build_id(files, (board, *flags, *target.ldflags, *_LDFLAGS, bundle.hash))
    files["generated/config.c"] = config_c(
        bundle.signal_path,
        bundle.rule,
        len(bundle.labels),
        version=version("innervate"),
        board=board,
        build_id=build_id,
        bundle_hash=bytes.fromhex(bundle.hash),
    ).encode()
    with tempfile.TemporaryDirectory(prefix="innervate-build-") as name:
        work = Path(name)
        for path, content in files.items():
            (work / path).parent.mkdir(exist_ok=True)
            (work / path).write_bytes(content)
        linked = _compile(target, flags, work, sorted(path for path in files if path.endswith((".c", ".S"))))
        flash, ram = _sizes(target, linked)
        _check_fits(target, flash, ram)
        frames = _largest_frames(work)
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.with_name(f".{out.name}.{os.getpid()}")
        try:
            shutil.copyfile(linked, partial)
            partial.chmod(0o755)
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
    return Firmware(out, board, build_id.hex(), bundle.hash, flash, ram, frames)


def _sources(bundle: Bundle, board: Board, model_dir: Path) -> dict[str, bytes]:
    """All files of the build but config.c, by their path in the build folder."""
    model = _model_name(model_dir)
    files: dict[str, bytes] = {}
    rooms = [("core", _CORE), ("app", _HERE / "app"), ("model", model_dir)]
    for room, folder in (*rooms, *(("board", folder) for folder in board.folders)):
        for path in sorted(folder.iterdir()):
            if path.suffix in (".c", ".h", ".S", ".ld"):
                files[f"{room}/{path.name}"] = path.read_bytes()
    # Kernels may bring core files along; one copy is linked.
    for twin in [name.replace("core/", "model/", 1) for name in files if name.startswith("core/")]:
        files.pop(twin, None)
    files["generated/messages.h"] = c_header().encode()
    spec = bundle.pipeline
    use = ModelUse(spec.steps, bool(spec.model.states), spec.keeps_state, spec.model.context)
    files["generated/config.h"] = config_h(spec.signal_path, len(spec.labels), model, use).encode()
    return files


def _model_name(model_dir: Path) -> str:
    headers = sorted(model_dir.glob("*.h")) if model_dir.is_dir() else []
    names = [h.stem for h in headers if re.search(rf"\bvoid {re.escape(h.stem)}_run\(", h.read_text("utf-8"))]
    if len(names) != 1:
        raise InnervateError(
            f"{len(names)} models where one belongs",
            str(model_dir),
            "Give the folder that `innervate compile` wrote",
        )
    return names[0]


def _build_id(files: Mapping[str, bytes], settings: tuple[str, ...]) -> bytes:
    digest = hashlib.sha256()
    for part in (
        *(text.encode() for text in settings),
        *(x for path in sorted(files) for x in (path.encode(), files[path])),
    ):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()[:16]


def _compile(board: Board, flags: tuple[str, ...], work: Path, sources: list[str]) -> Path:
    include = ("-Igenerated", "-Icore", "-Iapp", "-Iboard", "-Imodel")
    objects = []
    for source in sources:
        objects.append(str(Path(source).with_suffix(".o")))
        _run(board, work, [board.compiler, *flags, *include, "-c", source, "-o", objects[-1]])
    # -L finds the linker script of the board.
    _run(
        board,
        work,
        [board.compiler, *board.cflags, *objects, "-Lboard", *board.ldflags, *_LDFLAGS, "-o", "firmware"],
    )
    return work / "firmware"


def _run(board: Board, work: Path, command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=work,
            env={**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMPILE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InnervateError(
            f"{board.compiler} took longer than {_COMPILE_SECONDS:.0f} s",
            f"board {board.name}",
            "Use a smaller model",
        ) from error
    if done.returncode == 0:
        return done.stdout
    overflows = re.findall(r"region `(\w+)' overflowed by (\d+) bytes", done.stderr)
    if overflows:
        excess = (
            f"{int(missing):,} bytes too large for the board's {region}" for region, missing in overflows
        )
        raise InnervateError(
            f"the firmware is {' and '.join(excess)}",
            f"board {board.name}",
            "Prune the model further or choose a larger board",
        )
    if any(check in done.stderr for check in _CHECKS):
        raise InnervateError(
            "the generated model has other sizes than the bundle's signal path and labels",
            f"board {board.name}",
            "Compile the bundle's own model",
        )
    lines = [line for line in done.stderr.splitlines() if "error" in line or "undefined" in line]
    reason = (lines or done.stderr.splitlines() or ["no message"])[0]
    raise InnervateError(
        f"{board.compiler} failed: {reason}", f"board {board.name}", "See that it is the stated version"
    )


def _sizes(board: Board, linked: Path) -> tuple[int, int]:
    if shutil.which(board.size_tool) is None:
        raise InnervateError(
            f"{board.size_tool} is missing", f"board {board.name}", "Install binutils of the same toolchain"
        )
    text, data, bss = (
        int(x) for x in _run(board, linked.parent, [board.size_tool, linked.name]).splitlines()[1].split()[:3]
    )
    return text + data, data + bss


def _check_fits(board: Board, flash: int, ram: int) -> None:
    for what, used, there in (("flash", flash, board.flash_bytes), ("RAM", ram, board.ram_bytes)):
        if there and used > there:
            raise InnervateError(
                f"the firmware needs {used:,} bytes of {what}, the board has {there:,}",
                f"board {board.name}",
                "Prune the model further or choose a larger board",
            )


def _largest_frames(work: Path) -> tuple[tuple[str, int], ...]:
    """Return the five largest stack frames, from the compiler's .su files."""
    frames = []
    for path in work.rglob("*.su"):
        for line in path.read_text().splitlines():
            place, size, _ = line.split("\t")
            frames.append((place.rsplit(":", 1)[-1], int(size)))
    return tuple(sorted(frames, key=lambda frame: (-frame[1], frame[0]))[:5])
