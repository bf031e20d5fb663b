"""What the `.tflite` file says of itself, how fast it is written, and what never becomes one."""

import contextlib
import subprocess
import sys
import time
from typing import Any

import msgspec
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edge.context import ContextField
from edge.errors import InnervateError
from edge.model_file import read_io
from quantize.calibrate import calibrate
from quantize.forms import lower, quantized, read_graph
from quantize.tflite_metadata import FileFacts, Signature, read_facts, read_signatures
from quantize.tflite_writer import write
from tests.quant_models import as_input, file_of, networks, windows
from tests.tiny_bundle import tiny_path
from train.models import build, names

NETWORKS = networks()
CHANNELS, CLASSES = 8, 5
WINDOW = {"acharya13": 800}
SHORT = 64
"""Samples of every other family's window."""
PARAMS: dict[str, dict[str, Any]] = {
    "recurrent_conv": {"positions": tuple((i % 4, i // 4) for i in range(CHANNELS)), "steps": 8},
}
FACTS = FileFacts(
    "grasp",
    ("rest", "Faust", "グリップ"),
    tiny_path(),
    (ContextField("age_years", 41.5, 12.25),),
    True,
    "ab" * 32,
    "0.1.0",
)


def family(name: str, context: int) -> nn.Module:
    torch.manual_seed(0)
    return build(name, CHANNELS, WINDOW.get(name, SHORT), CLASSES, PARAMS.get(name, {}), context).eval()


def written(facts: FileFacts) -> bytes:
    return write(read_graph_of("plain"), msgspec.to_builtins(facts))


def read_graph_of(name: str) -> Any:
    from tests.quant_models import quantized as calibrated

    return read_graph(calibrated(NETWORKS[name]))


def test_facts_come_back_as_they_were_written() -> None:
    assert read_facts(written(FACTS)) == FACTS
    assert read_facts(written(FileFacts())) == FileFacts()
    lines = "\n".join(FACTS.lines)
    for words in ("Task grasp: labels rest, Faust, グリップ", "age_years", "from window to window", "abab"):
        assert words in lines


def test_a_file_of_others_has_no_facts(anchors: Any) -> None:
    tflite = (anchors / "dscnn.tflite").read_bytes()
    assert read_facts(tflite) is None
    (signature,) = read_signatures(tflite)
    known = Interpreter(model_content=tflite).get_signature_list()[signature.key]
    assert known == {"inputs": list(signature.inputs), "outputs": list(signature.outputs)}


@pytest.mark.parametrize("at", range(8, 200, 8))
def test_damage_is_a_sentence(at: int) -> None:
    """Offsets overwritten one after the other: facts, none, or one sentence, but nothing else."""
    data = bytearray(file_of(NETWORKS["plain"]))
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    for read in (read_facts, read_signatures):
        with contextlib.suppress(InnervateError):
            read(bytes(data), "x.tflite")


def test_facts_that_are_no_facts_are_a_sentence() -> None:
    tflite = write(read_graph_of("plain"), {"labels": 7})
    with pytest.raises(InnervateError, match="what the file says it is for cannot be read"):
        read_facts(tflite)


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("name", names())
def test_every_family_becomes_a_file_in_two_seconds(name: str, context: int) -> None:
    """And its names are those that whoever runs it goes by."""
    model, length = family(name, context), WINDOW.get(name, SHORT)
    form = quantized(lower(model, (CHANNELS, 1, length), context))
    given = [as_input(windows(48, 1, (length, CHANNELS)))]
    if context:
        given.append((torch.arange(96).reshape(48, 2) % 96 - 48) / 32)
    calibrate(form, *given)
    began = time.process_time()
    tflite = write(read_graph(form), {"task": "test"})
    assert time.process_time() - began < 2
    io = read_io(tflite)
    assert (io.classes, io.context) == (CLASSES, context)
    states = [state for state in ("state",) if io.states]
    expected = Signature(
        "serving_default",
        ("window", *(["context"] if context else []), *states),
        ("probabilities", *(f"{state}.next" for state in states)),
    )
    assert read_signatures(tflite) == (expected,)
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    (graph,) = file.subgraphs
    tensor_names = [tensor.name for tensor in graph.tensors]
    assert all(tensor_names)
    assert len(set(tensor_names)) == len(tensor_names)
    assert all(tensor.shapeSignature is None for tensor in graph.tensors)
    contents = [bytes(buffer.data) for buffer in file.buffers if buffer.data is not None]
    assert len(set(contents)) == len(contents)
    runner = Interpreter(model_content=tflite).get_signature_runner("serving_default")
    assert set(runner.get_input_details()) == set(expected.inputs)
    assert set(runner.get_output_details()) == set(expected.outputs)


def test_equal_constants_are_stored_once() -> None:
    torch.manual_seed(0)
    twice = nn.Sequential(
        nn.Conv2d(4, 4, (1, 3)), nn.ReLU(), nn.Conv2d(4, 4, (1, 3)), nn.Flatten(), nn.Linear(224, 5)
    )
    once = len(file_of(twice.eval()))
    twice[2].load_state_dict(twice[0].state_dict())
    assert len(file_of(twice)) <= once - 4 * 4 * 3


def test_writing_needs_no_tensorflow() -> None:
    code = (
        "import sys\n"
        "import quantize.tflite_writer, quantize.forms, quantize.convert, quantize.executors\n"
        "found = [name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'keras', 'onnx')]\n"
        "sys.exit(str(found) if found else 0)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", sorted(set(names()) - {"gru"}))
def test_a_module_without_int8_form_is_named_by_its_path_and_replacement(name: str) -> None:
    """Each ReLU, or else each Linear, of a family becomes one that does not exist in int8."""
    model = family(name, 0)
    kinds = (nn.ReLU, nn.Linear)
    path = next(path for kind in kinds for path, module in model.named_modules() if isinstance(module, kind))
    parent, _, child = path.rpartition(".")
    setattr(model.get_submodule(parent), child, nn.GELU())
    with pytest.raises(InnervateError, match="GELU has no int8 form here") as found:
        lower(model, (CHANNELS, 1, WINDOW.get(name, SHORT)))
    assert path.removeprefix("front.") in found.value.where
    assert "ReLU" in found.value.fix
