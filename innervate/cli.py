"""The `innervate` command: one verb a step of the chain, each usable alone."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from edge.errors import InnervateError
from innervate.verbs import (
    bench,
    calibrate,
    catalog,
    compiling,
    data,
    demo,
    devices,
    pruning,
    quantizing,
    training,
)

_EXTRAS = {
    "host": (
        "torch",
        "brevitas",
        "scipy",
        "sklearn",
        "ai_edge_litert",
        "flatbuffers",
        "matplotlib",
        "jinja2",
        "pytest",
    ),
    "tensorflow": ("tensorflow",),
}

# The networks are small: more threads gain little on an idle machine, cost a lot on a busy one, and change
# the last digits of a training. Whoever wants them sets the variable; torch reads it when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="EEG and EMG models from a recording to a validated int8 device. "
    "The usual order: data, train, evaluate, quantize, inspect, compile, build, validate, run. "
    "`innervate demo` does them all on simulated muscle signals.",
    epilog="Exit status: 0 done, 1 a check failed, 2 something asked for cannot be done.",
)


@app.callback(invoke_without_command=True)
def root(show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Options that stand before any verb."""
    if show_version:
        typer.echo(version("innervate"))
        raise typer.Exit


app.command()(demo.demo)
app.command()(catalog.tasks)
app.command()(catalog.datasets)
app.command()(catalog.models)
app.command()(catalog.boards)
app.add_typer(data.app, name="data")
app.command()(training.train)
app.command()(training.evaluate)
app.command()(pruning.sensitivity)
app.command()(quantizing.quantize)
app.command()(quantizing.inspect)
app.command("compile")(compiling.compile_model)
app.command()(compiling.build)
app.command()(devices.validate)
app.command()(calibrate.calibrate)
app.command()(devices.run)
app.add_typer(bench.app, name="bench")


def _missing_package(error: ModuleNotFoundError) -> str:
    package = (error.name or "").partition(".")[0]
    for extra, packages in _EXTRAS.items():
        if package in packages:
            return (
                f"This step needs the package {package}. Install it with: pip install 'innervate[{extra}]'."
            )
    return f"The package {package} is missing. Install innervate again."


def main() -> None:
    """Run the command line; whatever the user can mend ends as one sentence and an exit status."""
    try:
        app()
    except InnervateError as error:
        sentence = str(error)
    except ModuleNotFoundError as error:
        sentence = _missing_package(error)
    except OSError as error:
        sentence = f"{error.strerror or error} ({error.filename or 'input or output'})."
    except KeyboardInterrupt:
        print("innervate: stopped.", file=sys.stderr)
        sys.exit(130)
    print(f"innervate: {sentence}", file=sys.stderr)
    sys.exit(2)
