"""Writes a model as a folder of plain C99."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from edge.errors import InnervateError
from edge.model_file import NEXT, read_io
from quantize.c99 import toolchain
from quantize.c99.arena import Plan, plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.checks import checks
from quantize.c99.folder import MARK, whole_folder
from quantize.c99.kernels import CORE, Family, find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.packages import write_packages
from quantize.c99.profile import board_of, profile
from quantize.c99.program import Program
from quantize.c99.report import ArenaBuffer, Layer, Report
from quantize.c99.source import header, source
from quantize.c99.states import States
from quantize.c99.streaming.report import streaming_report
from quantize.c99.streaming.steps import MOVES
from quantize.c99.streaming.stream import Streaming, refuse_states, stream
from quantize.tflite_reader import read_model

REPORT_FORMAT = 1
# Words that a model cannot be called: its name becomes a file, a type and a prefix.
_C_WORDS = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm bool catch class delete explicit export false friend mutable
    namespace new operator private protected public template this throw true try typeid typename
    using virtual main fixed
    """.split()  # noqa: SIM905
)


def _check_name(name: str) -> None:
    usable = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name) and not name.lower().startswith("nrv_")
    if not usable or name in _C_WORDS:
        raise InnervateError(
            f"'{name}' cannot name a C type",
            "model name",
            "Use letters, digits and underscores, a letter first, and neither a C keyword nor nrv_...",
        )


def _layers(program: Program, carried_out: Program) -> list[Layer]:
    """Return the layers of a program; their kernels are those of the program that is written."""
    steps = {step.operator.position: step for step in program.steps}
    kernels: dict[int, str] = {}
    for made in carried_out.steps:
        if made.kernel not in MOVES or made.operator.position not in kernels:
            kernels[made.operator.position] = made.kernel
    layers = []
    for operator in program.model.operators:
        tensors = program.model.tensors
        step = steps.get(operator.position)
        output = tensors[operator.outputs[0]]
        layers.append(
            Layer(
                position=operator.position + 1,
                operator=operator.name,
                output=output.name,
                kernel=kernels.get(operator.position, ""),
                input_shapes=[
                    list(tensors[i].shape)
                    for i in operator.inputs
                    if i != -1 and tensors[i].data is None and not tensors[i].variable
                ],
                output_shape=list(output.shape),
                macs=step.macs if step else 0,
                accumulator_bound=step.accumulator_bound if step else None,
            )
        )
    return layers


def _arena(program: Program, placed: Plan) -> list[ArenaBuffer]:
    position = [step.operator.position + 1 for step in program.steps]
    return [
        ArenaBuffer(p.buffer.name, p.offset, p.buffer.size, position[p.buffer.first], position[p.buffer.last])
        for p in placed.placements
    ]


def states_of(tflite: bytes, program: Program, name: str, where: str) -> States | None:
    """Return the states of a file that gives any back; None for any other file.

    Raises:
        InnervateError: outputs are named as of states and do not pair with inputs.
    """
    model = program.model
    if not any(model.tensors[i].name.endswith(NEXT) for i in model.outputs[1:]):
        return None
    return States(name, read_io(tflite, where))


def write_sources(
    program: Program,
    name: str,
    folder: Path,
    kernels: Family,
    placed: Plan,
    states: States | None = None,
    streaming: Streaming | None = None,
) -> tuple[list[str], int]:
    """Write header, source and kernels; return the files to compile and the bytes of constants.

    `states` is what `states_of` returns, `streaming` what `stream` returns with a streamed program.
    """
    text, constant_bytes = source(program, name, placed, kernels, states, streaming)
    (folder / f"{name}.h").write_text(header(program, name, placed.size, states, streaming))
    (folder / f"{name}.c").write_text(text)
    needed = sorted({file for step in program.steps for file in kernels.kernels[step.kernel].files})
    for file in needed:
        shutil.copyfile(CORE / file, folder / Path(file).name)
    return [f"{name}.c", *(Path(file).name for file in needed if file.endswith(".c"))], constant_bytes


def emit(
    tflite: bytes,
    name: str,
    out: Path,
    target: str = "generic",
    where: str = "",
    measure: bool = False,
    page: Callable[[Report], str] | None = None,
    optimize: str = "speed",
    hop: int | None = None,
) -> Report:
    """Compile an int8 `.tflite` file to a folder of C99.

    Args:
        tflite: the file's bytes.
        name: of the model: a C identifier, the prefix of everything in `NAME.h`.
        out: the folder to write; one written before is replaced, as a whole or not at all.
        target: a key of `quantize.c99.kernels.TARGETS`.
        where: the file, for messages.
        measure: count instructions in the emulator, layer by layer.
        page: what to write into report.html.
        optimize: a key of `quantize.c99.kernels.WAYS`.
        hop: samples that NAME_push takes, of a window that goes on; None for no such function.

    Raises:
        InnervateError: the file, name, hop, target or `optimize` cannot be used, or `out` holds something
            else; or what measuring needs is missing.
    """
    _check_name(name)
    processor = find_target(target, optimize)
    board = board_of(target) if measure else ""
    kernels = processor.family
    where = where or f"{name}.tflite"
    lowered = lower(read_model(tflite, where))
    whole = program = kernels.fit(lowered)
    states, streaming = states_of(tflite, program, name, where), None
    if hop is not None:
        refuse_states(states, where)
        program, streaming = stream(lowered, hop, kernels, where)
    placed = plan(arena_buffers(program))
    model = program.model
    with whole_folder(out) as folder:
        sources, constant_bytes = write_sources(program, name, folder, kernels, placed, states, streaming)
        write_packages(program, name, folder, sources, processor.cflags, states)
        build, code = toolchain.measure(
            folder,
            sources,
            [f"{name}_run", *([f"{name}_push"] if states or streaming else [])],
            constant_bytes,
            processor.cflags,
        )
        layers = _layers(whole, program)
        report = Report(
            format=REPORT_FORMAT,
            name=name,
            target=target,
            optimize=optimize,
            cflags=["-std=c99", *processor.cflags],
            sources=sources,
            input_shapes=[list(model.tensors[i].shape) for i in model.inputs],
            output_shapes=[list(model.tensors[i].shape) for i in model.outputs],
            macs=sum(step.macs for step in whole.steps),
            constant_bytes=constant_bytes,
            weight_bytes=sum(t.data.nbytes for t in model.tensors if t.data is not None and t.quantization),
            arena_bytes=placed.size,
            arena_lower_bound=placed.bound,
            state_bytes=states.size if states else 0,
            arena=_arena(program, placed),
            layers=layers,
            build=build,
            checks=checks(layers, build, code),
            streaming=streaming_report(program, streaming) if streaming else None,
        )
        _write_report(report, folder)
        if measure:
            report = profile(folder, report, board)
            _write_report(report, folder)
        if page:
            (folder / "report.html").write_text(page(report), "utf-8")
    return report


def _write_report(report: Report, folder: Path) -> None:
    (folder / MARK).write_text(json.dumps(report.to_json(), indent=1) + "\n")
