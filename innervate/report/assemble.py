"""Puts a report together from a run, its bundle and what a device said."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from edge.firmware.boards import load_board
from edge.firmware.build import Firmware
from edge.messages import Info, Status
from edge.path_runner import PathRunner
from innervate.replay import Replay, device_accuracies, device_classes
from innervate.report.data import (
    NO_DECISION,
    Confusion,
    Delay,
    DelayPart,
    EngineRow,
    Engines,
    Headline,
    Interval,
    Layer,
    Measured,
    ParityRow,
    Provenance,
    Report,
    Signals,
    Size,
    Sizes,
    Span,
    SubjectRow,
    Subjects,
    Timeline,
    Training,
)
from innervate.report.html import write_report
from quantize.c99.report import Report as CompileReport
from quantize.convert import QuantizeResult
from train.delay import DelayBudget, budget
from train.filter_response import path_response
from train.metrics import Estimate, Metrics, confusion_matrix
from train.run import Run
from train.task import DelayLimits

EXCERPT_S = 12.0
"""Of a recording, shown before and after the filter."""
_PACKAGES = ("numpy", "scipy", "torch", "brevitas", "tflite-runtime", "ai-edge-litert")


@dataclass(frozen=True, eq=False)
class DeviceEvidence:
    """What a device said: handshake, counters, parity by stage and the replayed recordings."""

    measured: Measured
    info: Info
    status: Status
    parity: Sequence[ParityRow]
    failures: Sequence[str]
    replay: Replay
    compiled: CompileReport
    firmware: Firmware


def write_run_report(run: Run, out: Path) -> Path:
    """Write the report of a training: host figures only."""
    test = run.metrics.test
    report = Report(
        provenance=_provenance(run, {Measured.HOST: _host()}),
        headline=[
            Headline("Accuracy", 100 * test.accuracy.value, "%", Measured.HOST, "float, mean of subjects"),
            Headline(
                "Linear discriminant", 100 * run.metrics.floor.accuracy.value, "%", Measured.HOST, "the floor"
            ),
        ],
        signals=_signals(run),
        filter_response=path_response(run.signal_path),
        confusion=Confusion(run.labels, {"float": np.array(test.confusion)}, {"float": Measured.HOST}),
        subjects=_subjects(run.metrics.floor, {"float": test}),
        delay=delay_parts(budget(run.signal_path, run.plan.decision), None, run.plan.delay),
        training=_training(run),
        notes=_notes(run),
    )
    return write_report(report, out)


def write_chain_report(run: Run, result: QuantizeResult, evidence: DeviceEvidence, out: Path) -> Path:
    """Write the report of a whole chain: float, int8 on the host, and what the device did."""
    measured, status, info = evidence.measured, evidence.status, evidence.info
    replay = evidence.replay
    metrics = result.metrics
    test = run.windows("test")
    device = device_classes(test, replay)
    instructions = _instructions(evidence)
    compute_ms = (
        1000
        * (status.model_max + status.decision_max + status.filter_max * result.bundle.signal_path.hop_samples)
        / info.tick_hz
    )
    delay = budget(result.bundle.signal_path, result.bundle.rule, compute_ms)
    parity = [*evidence.parity, *_replay_parity(evidence)]
    compared, differing = sum(row.compared for row in parity), sum(row.differing for row in parity)
    matrices = {"float": np.array(metrics.trained.confusion), "int8": np.array(metrics.int8.confusion)}
    places = {"float": Measured.HOST, "int8": Measured.HOST}
    if len(device.rows):
        matrices["device"] = confusion_matrix(test.y[device.rows], device.predicted, len(run.labels))
        places["device"] = measured
    report = Report(
        provenance=_provenance(
            run, {Measured.HOST: _host(), measured: f"{replay.url}, board {info.board}"}, result.bundle.hash
        ),
        headline=[
            Headline("Device against host", f"{differing:,} of {compared:,}", "integers differ", measured),
            Headline(
                "Accuracy, float", 100 * metrics.trained.accuracy.value, "%", Measured.HOST, "as trained"
            ),
            Headline(
                "Accuracy, int8", 100 * metrics.int8.accuracy.value, "%", Measured.HOST, metrics.int8_engine
            ),
            Headline("Mean delay", delay.mean_ms, "ms", measured, f"worst {delay.worst_ms:.0f} ms"),
            Headline("Flash", evidence.firmware.flash / 1024, "KiB", measured, "firmware and model"),
            *([Headline("Instructions", instructions, "an inference", measured)] if instructions else []),
        ],
        signals=_signals(run),
        filter_response=path_response(result.bundle.signal_path),
        confusion=Confusion(run.labels, matrices, places),
        subjects=_subjects(
            run.metrics.floor,
            {"float": metrics.trained, "int8": metrics.int8},
            device_accuracies(test, device),
            measured,
        ),
        sizes=_sizes(result, evidence, instructions),
        delay=delay_parts(delay, measured, run.plan.delay),
        engines=Engines(
            result.verification.reference,
            result.windows,
            [
                EngineRow(
                    row.engine,
                    Measured.HOST,
                    row.accuracy,
                    row.max_lsb,
                    row.agreement,
                    row.version,
                    row.largest_gap,
                    row.missing or "",
                )
                for row in result.table
            ],
        ),
        noise=result.noise,
        parity=parity,
        training=_training(run),
        timeline=_timeline(run, replay, measured),
        failures=evidence.failures,
        notes=_notes(run),
    )
    return write_report(report, out)


def _host() -> str:
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _provenance(run: Run, machines: dict[Measured, str], bundle_hash: str | None = None) -> Provenance:
    record, plan = run.record, run.plan
    versions = {"innervate": record.innervate}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    split = {"within_subject": "within subject, earlier session to later session"}
    words = split.get(
        plan.protocol, f"leave subjects out, fold {record.split.fold + 1} of {record.split.folds}"
    )
    return Provenance(
        title=record.task.title,
        task=plan.task,
        dataset=plan.dataset,
        split=words,
        subjects=len(run.metrics.test.subjects),
        seed=record.seed,
        machines=machines,
        versions=versions,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle_hash=bundle_hash,
    )


def _signals(run: Run) -> Signals:
    path = run.signal_path
    recording = next(run.recordings("test"))
    raw = recording.counts()
    filtered = PathRunner(path).filter(raw)
    labelled = [a for a in recording.annotations if a.label in run.plan.classes]
    # from a second before the first label, past the filters' settling
    start = path.settle * path.decimation
    if labelled:
        start = max(start, labelled[0].onset - round(path.fs_hz))
    start = min(start, max(0, len(raw) - round(EXCERPT_S * path.fs_hz)))
    shown = slice(start, start + round(EXCERPT_S * path.fs_hz))
    length = len(raw[shown])
    spans = [
        Span(
            max(0, a.onset - start) / path.fs_hz,
            (min(a.onset + a.duration - start, length) - max(0, a.onset - start)) / path.fs_hz,
            a.label,
        )
        for a in labelled
        if a.onset < start + length and a.onset + a.duration > start
    ]
    first, last = (-(-n // path.decimation) for n in (shown.start, shown.stop))
    return Signals(
        raw[shown],
        filtered[first:last],
        path.fs_hz,
        path.channels,
        spans,
        recording.uv_per_count or None,
        path.shift,
        f"test recording {recording.id}, from second {start / path.fs_hz:.1f}",
        filtered_hz=path.filtered_hz if path.decimation > 1 else None,
        filtered_channels=path.outputs if path.outputs != path.channels else None,
    )


def _interval(estimate: Estimate) -> Interval:
    return Interval(estimate.value, estimate.low, estimate.high)


def _subjects(
    floor: Metrics,
    metrics: dict[str, Metrics],
    on_device: dict[str, float] | None = None,
    measured: Measured = Measured.EMULATED,
) -> Subjects:
    by_name = {
        name: {s.subject: s.accuracy.value for s in m.subjects}
        for name, m in {**metrics, "floor": floor}.items()
    }
    rows = [
        SubjectRow(
            subject.subject,
            subject.windows,
            by_name["float"][subject.subject],
            by_name.get("int8", {}).get(subject.subject),
            (on_device or {}).get(subject.subject),
            by_name["floor"].get(subject.subject),
        )
        for subject in metrics["float"].subjects
    ]
    means = {name: _interval(m.accuracy) for name, m in {**metrics, "floor": floor}.items()}
    return Subjects(rows, means, "bootstrap over subjects", measured)


def delay_parts(delay: DelayBudget, measured: Measured | None, limits: DelayLimits | None) -> Delay:
    """Name the parts of a delay; compute only where it was measured."""
    computed = Measured.HOST
    parts = [
        DelayPart("window", delay.window_mean_ms, delay.window_worst_ms, computed, "half of it on average"),
        DelayPart("hop", delay.hop_mean_ms, delay.hop_worst_ms, computed, "waiting for the next window"),
        DelayPart("votes", delay.votes_ms, delay.votes_ms, computed, "until the new class has the majority"),
        DelayPart("filter group delay", delay.group_delay_ms, delay.group_delay_ms, computed),
    ]
    if measured is not None:
        parts.append(DelayPart("compute", delay.compute_ms, delay.compute_ms, measured, "slowest seen"))
    if limits is None:
        return Delay(parts)
    return Delay(parts, limits.preferred_ms, limits.limit_ms)


def _instructions(evidence: DeviceEvidence) -> int | None:
    """Instructions of an inference: under the emulator a nanosecond is one instruction; elsewhere unknown."""
    if evidence.measured is not Measured.EMULATED:
        return None
    return round(evidence.status.model_max * 1e9 / evidence.info.tick_hz)


def _sizes(result: QuantizeResult, evidence: DeviceEvidence, instructions: int | None) -> Sizes:
    compiled, firmware, status = evidence.compiled, evidence.firmware, evidence.status
    board = load_board(firmware.board)
    rows = [
        Size("model file", len(result.bundle.model), "bytes", Measured.HOST, ".tflite"),
        Size("weights", compiled.constant_bytes, "bytes", Measured.HOST, "constants of the generated C"),
        Size(
            "multiply-accumulates",
            result.after.macs,
            "an inference",
            Measured.HOST,
            f"{result.before.macs:,} before pruning",
        ),
        Size(
            "flash",
            firmware.flash,
            "bytes",
            evidence.measured,
            "firmware with model",
            board.flash_bytes or None,
        ),
        Size("RAM", firmware.ram, "bytes", evidence.measured, "data and stack", board.ram_bytes or None),
        Size("arena", compiled.arena_bytes, "bytes", Measured.HOST, "planned, within RAM"),
        Size("stack", status.stack_used, "bytes", evidence.measured, "high-water mark", status.stack_size),
    ]
    if instructions:
        rows.append(Size("instructions", instructions, "an inference", evidence.measured, "slowest seen"))
    layers = [
        Layer(layer.output or layer.operator, layer.operator, layer.output_shape, 0, layer.macs)
        for layer in compiled.layers
    ]
    return Sizes(rows, layers)


def _replay_parity(evidence: DeviceEvidence) -> list[ParityRow]:
    replay, measured = evidence.replay, evidence.measured
    rows = (
        ("streamed: outputs", replay.outputs, replay.differing_outputs),
        ("streamed: decisions", replay.decisions, replay.differing_decisions),
    )
    return [
        ParityRow(stage, replay.url, measured, compared, differing) for stage, compared, differing in rows
    ]


def _training(run: Run) -> Training | None:
    fit = run.record.fit
    if not fit.history:
        return None
    accuracy = [np.nan if e.valid_accuracy is None else e.valid_accuracy for e in fit.history]
    return Training(
        np.arange(1, len(fit.history) + 1),
        np.array([e.train_loss for e in fit.history]),
        np.array(accuracy),
        fit.best_epoch + 1,
    )


def _timeline(run: Run, replay: Replay, measured: Measured) -> Timeline | None:
    """The first replayed recording, decision by decision."""
    if not replay.played:
        return None
    one = replay.played[0]
    if len(one.device_decisions) != len(one.host_decisions) or not one.host_decisions:
        return None
    recording = next(r for r in run.recordings("test") if r.id == one.recording)
    truth = recording.label_track(run.plan.classes)
    index = np.array([d.sample_index for d in one.host_decisions])
    host = np.array([NO_DECISION if d.label is None else d.label for d in one.host_decisions])
    device = np.array([NO_DECISION if d.label is None else d.label for d in one.device_decisions])
    return Timeline(
        run.labels,
        index / run.signal_path.fs_hz,
        truth[index],
        host,
        device,
        replay.url,
        measured,
        f"test recording {one.recording}",
    )


def _notes(run: Run) -> list[str]:
    notes = ["Window accuracies are of single windows, before the decision rule."]
    if run.plan.dataset == "simulated":
        notes.append(
            "The recordings are simulated: the figures show that the chain works, not how well on people."
        )
    if run.record.fast:
        notes.append("Training was cut short (--fast): the accuracies are not those of a full training.")
    return notes
