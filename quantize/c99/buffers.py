"""What a program keeps in its arena."""

from quantize.c99.arena import Buffer
from quantize.c99.program import Program, State, Step


def output_buffer(step: Step) -> str:
    """Name a step's output in the arena plan."""
    further = (f", {step.part + 1}" if step.part else "") + (f", {step.piece}" if step.piece else "")
    return f"output of layer {step.operator.position + 1}{further}"


def scratch_buffer(step: Step) -> str:
    """Name a step's scratch memory in the arena plan."""
    further = f", stripe {step.stripe.number + 1}" if step.stripe else ""
    further += f", {step.piece}" if step.piece else ""
    return f"scratch of layer {step.operator.position + 1}{further}"


def state_buffer(step: Step, state: State) -> str:
    """Name a step's kept memory in the arena plan."""
    return f"{state.name} of layer {step.operator.position + 1}"


def kept_buffer(program: Program, tensor: int) -> str:
    """Name columns that are kept from hop to hop in the arena plan."""
    return program.model.tensors[tensor].name


def arena_buffers(program: Program) -> list[Buffer]:
    """Return everything the arena has to hold; inputs and outputs stay where the caller has them."""
    model = program.model
    outside = {program.storage(i) for i in (*model.inputs, *model.outputs)}
    last = {step.output: number for number, step in enumerate(program.steps)}
    for number, step in enumerate(program.steps):
        for index in step.inputs:
            last[program.storage(index)] = number
    last_step = max(len(program.steps) - 1, 0)
    buffers = [
        Buffer(kept_buffer(program, i), model.tensors[i].size * model.tensors[i].item_bytes, 0, last_step)
        for i in program.kept
    ]
    outside |= program.kept.keys()
    names: dict[int, str] = {}  # of the buffers that hold tensors
    for number, step in enumerate(program.steps):
        if program.storage(step.output) not in outside and step.output not in names:
            whole = model.tensors[step.output].size * model.tensors[step.output].item_bytes
            # Inputs that nobody needs after this step.
            done = {program.storage(i) for i in step.inputs if last.get(program.storage(i)) == number}
            over = {names[i]: step.lead for i in done & names.keys() if step.lead is not None}
            names[step.output] = output_buffer(step)
            onto = frozenset(names[i] for i in done & names.keys() if step.in_place)
            size = step.stripe.buffer if step.stripe else whole
            buffers.append(Buffer(output_buffer(step), size, number, last[step.output], over, onto))
        if step.scratch:
            buffers.append(Buffer(scratch_buffer(step), step.scratch, number, number))
        buffers += [Buffer(state_buffer(step, state), state.size, 0, last_step) for state in step.states]
    return buffers
