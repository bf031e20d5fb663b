"""`innervate train` and `innervate evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from innervate.output import Json, emit_json, emit_table, progress, say

if TYPE_CHECKING:
    from innervate.chain_evaluation import ChainEvaluation
    from train.evaluate import Evaluation
    from train.metrics import Estimate, Metrics

TaskArgument = Annotated[
    str, typer.Argument(help="A task's name (`innervate tasks`) or a .toml file.", show_default=False)
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of a data set in its original files; none: the simulator."),
]
DatasetOption = Annotated[
    str, typer.Option("--dataset", help="Read --data as this data set; by default it is recognised.")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Another network than the task's (`innervate models`).")
]
ProtocolOption = Annotated[
    str | None,
    typer.Option("--protocol", help="within_subject or leave_subjects_out; by default the data set's own."),
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Of everything random; the same seed gives the same run.")
]
FastOption = Annotated[
    bool, typer.Option("--fast", help="Few epochs: to see that all works, not for figures.")
]


def pick_dataset(data: Path | None, dataset: str = "") -> str:
    """Name of the data set below `data`, or the simulator's where there is no path.

    Raises:
        InnervateError: no reader knows the files.
    """
    from train import readers

    if dataset:
        return readers.get(dataset).NAME
    return "simulated" if data is None else readers.find(data).NAME


def train(
    task: TaskArgument,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the run; must not exist.", show_default=False)
    ],
    data: DataOption = None,
    dataset: DatasetOption = "",
    model: ModelOption = None,
    protocol: ProtocolOption = None,
    fold: Annotated[int, typer.Option("--fold", help="Which of the protocol's splits.")] = 0,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Instead of --fold: the split that tests this person.")
    ] = None,
    seed: SeedOption = 0,
    fast: FastOption = False,
    json: Json = False,
) -> None:
    """Train a network: model.pt, run.json, metrics.json and report.html in one folder.

    An interrupted run goes on where it was when the same command is given again.
    """
    from innervate.report.assemble import write_run_report
    from train.run import train as fit

    name = pick_dataset(data, dataset)
    with progress() as report:
        run = fit(
            task,
            name,
            data,
            out=out,
            model=model,
            protocol=protocol,
            fold=fold,
            subject=subject,
            seed=seed,
            fast=fast,
            progress=report,
        )
    write_run_report(run, out / "report.html")
    if json:
        emit_json(
            {
                "run": out,
                "test": msgspec.to_builtins(run.metrics.test),
                "floor": msgspec.to_builtins(run.metrics.floor),
            }
        )
        return
    _print_subjects(run.metrics.test, run.metrics.floor)
    say(f"Run: {out}, report: {out / 'report.html'}. All figures: host, float.")


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder that `innervate train` wrote.", show_default=False)],
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            help="Train and test anew for each split of this protocol; without it the network is tested.",
        ),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(
            "--port", help="Quantize and build each split too, and stream its test into host: or qemu:BOARD."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", help="With --port: where runs, bundles and firmware go; goes on where it was."),
    ] = Path("out/evaluation"),
    ptq: Annotated[bool, typer.Option("--ptq", help="With --port: calibrate only.")] = False,
    json: Json = False,
) -> None:
    """Accuracy a subject with 95 % intervals, the linear floor beside it, and the delay budget."""
    from train.evaluate import evaluate as score
    from train.run import Run

    loaded = Run.load(run)
    if port is not None:
        from innervate.chain_evaluation import evaluate_chain

        record = loaded.record
        with progress() as report:
            chain = evaluate_chain(
                record.task,
                record.plan.dataset,
                None if record.data_path is None else Path(record.data_path),
                out,
                device=port,
                protocol=protocol or record.plan.protocol,
                seed=record.seed,
                mode="ptq" if ptq else "qat",
                fast=record.fast,
                progress=report,
            )
        if json:
            emit_json(msgspec.to_builtins(chain))
        else:
            _print_chain(chain)
        if chain.differing_outputs or chain.differing_decisions:
            raise typer.Exit(1)
        return
    with progress() as report:
        result = score(loaded, protocol, report)
    if json:
        emit_json(msgspec.to_builtins(result))
        return
    _print_evaluation(result)


def _percent(estimate: "Estimate") -> str:
    text = f"{100 * estimate.value:.1f} %"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def _print_subjects(network: "Metrics", floor: "Metrics") -> None:
    beside = {subject.subject: subject.accuracy for subject in floor.subjects}
    rows = [
        (s.subject, s.windows, _percent(s.accuracy), _percent(beside[s.subject])) for s in network.subjects
    ]
    rows.append(("mean of subjects", network.windows, _percent(network.accuracy), _percent(floor.accuracy)))
    emit_table(("subject", "windows", "accuracy (95 % interval)", "linear discriminant"), rows)
    say(f"Balanced accuracy {_percent(network.balanced_accuracy)}, macro-F1 {_percent(network.macro_f1)}.")


def _print_evaluation(result: "Evaluation") -> None:
    _print_subjects(result.network, result.floor)
    delay = result.delay
    say(
        f"{result.task} on {result.dataset}, {result.protocol}, {result.folds} fold(s), seed {result.seed}; "
        "host, float. "
        f"Delay without compute: mean {delay.mean_ms:.0f} ms, worst {delay.worst_ms:.0f} ms."
    )


def _print_chain(chain: "ChainEvaluation") -> None:
    by_subject = zip(chain.network.subjects, chain.int8.subjects, chain.floor.subjects, strict=True)
    rows = [
        (a.subject, a.windows, _percent(a.accuracy), _percent(b.accuracy), _percent(c.accuracy))
        for a, b, c in by_subject
    ]
    float_mean, int8_mean, floor_mean = (
        _percent(metrics.accuracy) for metrics in (chain.network, chain.int8, chain.floor)
    )
    rows.append(("mean of subjects", chain.network.windows, float_mean, int8_mean, floor_mean))
    places = ("float, host (95 % interval)", f"int8, {chain.device}", "linear discriminant")
    emit_table(("subject", "windows", *places), rows)
    say(
        f"{chain.task} on {chain.dataset}, {chain.protocol}, {chain.folds} networks, {chain.mode}, "
        f"seed {chain.seed}. "
        f"Device against host: {chain.differing_outputs:,} of {chain.outputs:,} outputs and "
        f"{chain.differing_decisions:,} of {chain.decisions:,} decisions differ."
    )
