"""The whole chain in one go: recordings -> trained model -> int8 bundle -> firmware -> proof on a device."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.errors import InnervateError
from edge.firmware.boards import load_board
from edge.firmware.build import Firmware
from edge.firmware.build import build as build_firmware
from edge.link import Link
from hil_tests.report import ValidationReport
from hil_tests.run import validate
from innervate.firmware import board_of
from innervate.replay import Replay, device_classes, replay
from innervate.report.assemble import DeviceEvidence, write_chain_report, write_run_report
from innervate.report.data import Measured
from innervate.report.validation import failures, measured_at, parity_rows
from quantize.c99 import build_shared, emit
from quantize.c99.report import Report as CompileReport
from quantize.convert import QuantizeResult, quantize
from train.run import Run, train

Progress = Callable[[str, int, int], None]
Say = Callable[[str], None]

PRUNED = 0.25
"""Of the channels: halves the multiply-accumulates of a convolution and costs little accuracy."""
EMULATED_BYTES = 320_000
"""Of counts replayed into an emulated board, whose serial line takes 6 to 11 kB/s."""
EMULATED_BOARD = "netduinoplus2"


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What a demo made: all files lie in `folder`."""

    folder: Path
    report: Path
    run: Run
    quantized: QuantizeResult
    firmware: Firmware
    validation: ValidationReport
    replayed: Replay
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the device computed what the host computed, in every stage and decision."""
        return (
            self.validation.passed
            and self.replayed.differing_outputs == 0
            and self.replayed.differing_decisions == 0
        )

    @property
    def device_accuracy(self) -> float | None:
        """Share of replayed labelled windows that the device's model classified rightly."""
        test = self.run.windows("test")
        classes = device_classes(test, self.replayed)
        return float((classes.predicted == test.y[classes.rows]).mean()) if len(classes.rows) else None


def default_device() -> tuple[str, str]:
    """The device URL to use, and why it is not the emulated board where it is not."""
    board = load_board(EMULATED_BOARD)
    assert board.emulator is not None
    missing = [tool for tool in (board.compiler, board.emulator.command) if shutil.which(tool) is None]
    if missing:
        return (
            "host:",
            f"{' and '.join(missing)} missing: the firmware runs natively (host:) instead of emulated",
        )
    return f"qemu:{EMULATED_BOARD}", ""


def run_demo(
    task: str,
    dataset: str,
    data: Path | None,
    folder: Path,
    *,
    device: str,
    seed: int = 0,
    fast: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> DemoResult:
    """Run the chain; what a former run left in `folder` is replaced.

    Args:
        task: name of a task or a TOML file.
        dataset: name of a reader.
        data: the data set's folder; None if simulated.
        folder: where all goes.
        device: `qemu:BOARD` or `host:`.
        seed: of everything random.
        fast: few epochs, to see that all works.
        progress: called with stage, done, total.
        say: called with a sentence when a step is done.

    Raises:
        InnervateError: anything of the user's that does not fit: data, task, tools.
    """
    name = board_of(device)
    if name is None:
        raise InnervateError("The demo brings its own firmware", device, "Give qemu:BOARD or host:")
    board = load_board(name)  # before minutes of training
    tell: Say = say or (lambda text: None)
    began = time.monotonic()
    steps = _Steps(tell, 5)
    run_folder = folder / "run"
    if run_folder.exists():
        shutil.rmtree(run_folder)

    run = train(task, dataset, data, out=run_folder, seed=seed, fast=fast, progress=progress)
    write_run_report(run, run_folder / "report.html")
    test, floor = run.metrics.test.accuracy, run.metrics.floor.accuracy
    steps.done(
        f"trained on {dataset}: {100 * test.value:.1f} % of unseen windows, "
        f"linear floor {100 * floor.value:.1f} %"
    )

    quantized = quantize(run, folder / f"{run.plan.task}.nrv", prune=PRUNED, fast=fast, progress=progress)
    int8 = quantized.metrics.int8.accuracy.value
    steps.done(
        f"pruned and quantized: {100 * int8:.1f} %, {len(quantized.bundle.model):,} bytes of .tflite, "
        f"{quantized.before.macs:,} -> {quantized.after.macs:,} MACs"
    )

    model_dir = folder / "c99"
    compiled = emit(quantized.bundle.model, run.plan.task, model_dir, board.target)
    file = folder / f"firmware-{board.name}{board.suffix}"
    firmware = build_firmware(quantized.bundle, board.name, model_dir, file)
    steps.done(
        f"compiled and built for {board.name}: flash {firmware.flash:,} bytes, RAM {firmware.ram:,} bytes"
    )

    validation = validate(quantized.bundle_path, device, firmware.path, folder / "validation")
    compared = sum(stage.values for stage in validation.parity)
    differing = sum(stage.differing for stage in validation.parity)
    steps.done(
        f"validated on {device}: {differing} of {compared:,} golden integers differ, {validation.counted}"
    )

    evidence = _collect(run, quantized, firmware, compiled, device, validation, progress)
    report = write_chain_report(run, quantized, evidence, folder / "report.html")
    replayed = evidence.replay
    steps.done(
        f"streamed test recordings: {replayed.differing_decisions} of {replayed.decisions:,} decisions "
        "differ from the host's"
    )
    return DemoResult(
        folder, report, run, quantized, firmware, validation, replayed, time.monotonic() - began
    )


def _collect(
    run: Run,
    quantized: QuantizeResult,
    firmware: Firmware,
    compiled: CompileReport,
    device: str,
    validation: ValidationReport,
    progress: Progress | None,
) -> DeviceEvidence:
    """Replay test recordings into the device and put together all that it said."""
    bundle = quantized.bundle
    engine: Engine = NativeEngine(build_shared(bundle.model, bundle.signal_path), bundle.pipeline.keeps_state)
    measured = measured_at(device)
    path = bundle.signal_path
    limit = (
        EMULATED_BYTES // (len(path.channels) * -(-path.counts_bits // 8))
        if measured is Measured.EMULATED
        else None
    )
    with Link.open(device, firmware.path, bundle.hash) as link:
        replayed = replay(bundle, engine, link, run.recordings("test"), limit, progress)
        status, info = link.status(), link.info
    assert info is not None
    parity = parity_rows(validation)
    return DeviceEvidence(measured, info, status, parity, failures(validation), replayed, compiled, firmware)


class _Steps:
    """Numbers the steps and says how long each took."""

    def __init__(self, say: Say, total: int) -> None:
        self._say, self._total = say, total
        self._number, self._since = 0, time.monotonic()

    def done(self, what: str) -> None:
        """Say that a step is done."""
        self._number += 1
        now = time.monotonic()
        self._say(f"{self._number}/{self._total} {what} ({now - self._since:.0f} s)")
        self._since = now
