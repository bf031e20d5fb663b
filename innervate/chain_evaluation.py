"""A protocol through the whole chain: every split trained, quantized, built, its test recordings streamed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge.engines.native import NativeEngine
from edge.link import Link
from innervate.firmware import board_of, build_firmware
from innervate.replay import device_classes, replay
from quantize.c99 import build_shared
from quantize.convert import quantize
from quantize.recipe import Mode
from train.corpus import Corpus
from train.experiment import Experiment, predict_classes, score_plan, shortened
from train.fit import named
from train.metrics import Metrics
from train.recording import UNMARKED
from train.run import Run, train_split
from train.splits import make_splits
from train.task import Task

Progress = Callable[[str, int, int], None]


class FoldResult(msgspec.Struct, frozen=True):
    """What one split gave: classes of its labelled test windows, and the device against the host.

    Attributes:
        subject, truth: of each window.
        float_class, device_class, floor_class: what the trained network, the device and the linear
            discriminant made of it; the device's is int8.
        outputs, differing_outputs: integers of model output compared, and those not equal.
        decisions, differing_decisions: the same of decisions.
    """

    subject: list[str]
    truth: list[int]
    float_class: list[int]
    device_class: list[int]
    floor_class: list[int]
    outputs: int
    differing_outputs: int
    decisions: int
    differing_decisions: int


class ChainEvaluation(msgspec.Struct, frozen=True):
    """Figures of a protocol through the whole chain.

    Attributes:
        task, dataset, protocol: what was evaluated.
        folds: how many networks were trained, quantized and built.
        seed: of everything random.
        device: URL.
        mode, prune: of the quantization.
        network: the float networks, on the host.
        int8: the int8 networks, on the device.
        floor: the linear discriminant.
        outputs, differing_outputs, decisions, differing_decisions: device against host, all folds.
    """

    task: str
    dataset: str
    protocol: str
    folds: int
    seed: int
    device: str
    mode: Mode
    prune: float
    network: Metrics
    int8: Metrics
    floor: Metrics
    outputs: int
    differing_outputs: int
    decisions: int
    differing_decisions: int


def evaluate_chain(
    task: Task,
    dataset: str,
    data: Path | None,
    folder: Path,
    *,
    device: str,
    protocol: str | None = None,
    seed: int = 0,
    prune: float = 0.0,
    mode: Mode = "qat",
    fast: bool = False,
    progress: Progress | None = None,
) -> ChainEvaluation:
    """Evaluate a protocol on a device; folds that `folder` holds already are not done again.

    Args:
        task: what is decided.
        dataset: name of a reader.
        data: the data set's folder; None if simulated.
        folder: where each fold's run, bundle, firmware and result go.
        device: `host:` or `qemu:BOARD`, which get each fold's firmware.
        protocol: None for the data set's own.
        seed: of everything random.
        prune: share of channels to remove.
        mode: ptq or qat.
        fast: few epochs, to see that all works.
        progress: called with stage, done, total.

    Raises:
        InnervateError: task, data, tools or device are at fault.
    """
    plan = task.plan(dataset, protocol)
    plan = shortened(plan) if fast else plan
    corpus = Corpus(dataset, data, plan.resample_hz)
    splits = make_splits(plan.protocol, corpus.keys, plan.train_sessions, plan.test_sessions, seed)
    common: nn.Module | None = None
    results = []
    for split in splits:
        experiment = Experiment(plan, corpus, split, seed)
        home = folder / f"{dataset}-{plan.protocol}-{mode}-{seed}" / f"fold-{split.fold:02d}"
        done = home / "result.json"
        if not done.is_file():
            if common is None and experiment.learns_from_all:
                common = experiment.fit_common(progress)
            if (home / "run").exists():
                shutil.rmtree(home / "run")
            report = named(progress, f"fold {split.fold + 1}/{len(splits)}")
            run = train_split(task, experiment, out=home / "run", common=common, fast=fast, progress=report)
            result = _through_the_chain(run, home, device, prune, mode, fast, report)
            partial = done.with_suffix(".part")
            partial.write_bytes(msgspec.json.encode(result))
            partial.replace(done)
        results.append(msgspec.json.decode(done.read_bytes(), type=FoldResult))
    subject = np.concatenate([np.array(r.subject, np.str_) for r in results])
    truth = _joined(results, "truth")

    def scored(name: str) -> Metrics:
        return score_plan(plan, truth, _joined(results, name), subject)

    return ChainEvaluation(
        plan.task,
        dataset,
        plan.protocol,
        len(splits),
        seed,
        device,
        mode,
        prune,
        scored("float_class"),
        scored("device_class"),
        scored("floor_class"),
        *(
            sum(getattr(r, name) for r in results)
            for name in ("outputs", "differing_outputs", "decisions", "differing_decisions")
        ),
    )


def _through_the_chain(
    run: Run, home: Path, device: str, prune: float, mode: Mode, fast: bool, progress: Progress | None
) -> FoldResult:
    """Quantize a run, build its firmware and stream its test recordings into the device."""
    bundle = quantize(run, home / "model.nrv", prune=prune, mode=mode, fast=fast, progress=progress).bundle
    board = board_of(device)
    firmware = None if board is None else build_firmware(bundle, board, home / "firmware").path
    engine = NativeEngine(build_shared(bundle.model), bundle.pipeline.keeps_state)
    with Link.open(device, firmware, bundle.hash) as link:
        played = replay(bundle, engine, link, run.recordings("test"), progress=progress)
    test = run.windows("test")
    marked = test.y != UNMARKED
    classes = device_classes(test, played)
    if len(classes.rows) != marked.sum():
        raise AssertionError("every labelled test window is streamed")
    return FoldResult(
        [str(name) for name in test.subject[marked]],
        test.y[marked].tolist(),
        predict_classes(run.model(), test)[marked].tolist(),
        classes.predicted.tolist(),
        run.experiment.predict_floor(run.signal_path, test)[marked].tolist(),
        played.outputs,
        played.differing_outputs,
        played.decisions,
        played.differing_decisions,
    )


def _joined(results: list[FoldResult], name: str) -> NDArray[np.int64]:
    return np.concatenate([np.array(getattr(r, name), np.int64) for r in results])
