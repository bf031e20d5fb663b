"""What is said of a streamed program."""

from quantize.c99.program import Program
from quantize.c99.report import StreamedLayer, StreamingReport
from quantize.c99.streaming.stream import Streaming


def streaming_report(program: Program, streaming: Streaming) -> StreamingReport:
    """Return what a push computes, layer by layer; `program` is the streamed one."""
    layers = []
    for operator in program.model.operators:
        position = operator.position
        part = streaming.parts.get(position)
        if part is None:
            continue  # it moves nothing
        output = operator.outputs[0]
        flow, keep = streaming.flows.tensors.get(output), streaming.keeps.get(output)
        layers.append(
            StreamedLayer(
                position=position + 1,
                operator=operator.name,
                output=program.model.tensors[output].name,
                streamed=flow is not None,
                new_columns=streaming.flows.new(output) if flow else None,
                border_columns=keep.first + keep.last + keep.behind if keep else None,
                columns=flow.columns if flow else None,
                macs=sum(step.macs for step in program.steps if step.operator.position == position),
                why_not=part.why_not,
            )
        )
    return StreamingReport(
        streaming.hop, streaming.source.columns, streaming.macs, streaming.kept_bytes, layers
    )
