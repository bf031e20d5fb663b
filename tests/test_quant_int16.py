"""16-bit activations of chosen layers, against TFLite's reference kernels and TensorFlow Lite Micro."""

from importlib.metadata import version

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema

from edge.engines import Engine
from edge.engines.tflite import TfliteEngine, runtimes
from edge.errors import InnervateError
from quantize import forms
from quantize.calibrate import calibrate
from quantize.distil import distil
from quantize.forms import lower, read_graph
from quantize.network import Network
from quantize.qat import QuantNetwork
from quantize.recipe import Recipe, prepare, worst_layer
from quantize.targets import check
from quantize.tflite_writer import write
from quantize.tflm_engine import TflmEngine
from quantize.verify import run_all, softmax, to_int8
from tests.quant_models import SHAPE, as_input, divergence, networks, window_set, windows
from train.models import build

NETWORKS = networks()
X = windows(60, seed=5)


def network(name: str) -> Network:
    found = lower(NETWORKS[name], SHAPE)
    assert isinstance(found, Network)
    return found


CASES = [
    (name, layers)
    for name in NETWORKS
    for able in [forms.can_be_int16(network(name))]
    for layers in (*((one,) for one in able), able)
]


def form_of(name: str, layers: tuple[str, ...]) -> QuantNetwork:
    form = forms.quantized(network(name), int16=layers)
    calibrate(form, as_input(windows(512, seed=1)))
    assert isinstance(form, QuantNetwork)
    return form


def distance(engine: Engine, form: QuantNetwork) -> int:
    with torch.no_grad():
        wanted = to_int8(softmax(form(as_input(X)).numpy())).astype(int)
    return int(np.abs(run_all(engine, X) - wanted).max())


@pytest.mark.parametrize(("name", "layers"), CASES)
def test_the_file_computes_what_the_network_does(name: str, layers: tuple[str, ...]) -> None:
    form = form_of(name, layers)
    assert distance(TfliteEngine(write(read_graph(form)), "reference", "ai_edge_litert"), form) <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_tensorflow_lite_micro_runs_it_too(name: str) -> None:
    pytest.importorskip("tflite_micro")
    form = form_of(name, forms.can_be_int16(network(name)))
    assert distance(TflmEngine(write(read_graph(form))), form) <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_nearer_to_the_float_network(name: str) -> None:
    able = forms.can_be_int16(network(name))
    wide, narrow = (
        divergence(form_of(name, layers), NETWORKS[name], windows(300, seed=3)) for layers in (able, ())
    )
    # Where the logits' own steps are all that matters, there is nothing to gain.
    assert wide < (1.05 if name == "padded" else 0.95) * narrow


def test_only_the_layer_asked_for_and_its_neighbours_have_16_bits() -> None:
    """Layer 3 of a chain 0, 3, pool, 9, 11: what 0 and 3 give, and so the operators 0, 3, pool and 9."""
    tflite = write(read_graph(form_of("plain", ("3",))))
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    graph = file.subgraphs[0]
    names = {getattr(schema.BuiltinOperator, n): n for n in vars(schema.BuiltinOperator) if n[0] != "_"}
    int16 = schema.TensorType.INT16
    found = []
    for operator in graph.operators:
        source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
        code = file.operatorCodes[operator.opcodeIndex]
        found.append((names[code.builtinCode], source.type == int16, output.type == int16))
        for tensor in (source, output):
            if tensor.type == int16:
                assert list(tensor.quantization.zeroPoint) == [0]
        if source.type == int16 and len(operator.inputs) == 3:
            assert graph.tensors[operator.inputs[1]].type == schema.TensorType.INT8
            assert graph.tensors[operator.inputs[2]].type == schema.TensorType.INT64
    assert found == [
        ("QUANTIZE", False, True),
        ("CONV_2D", True, True),
        ("CONV_2D", True, True),
        ("AVERAGE_POOL_2D", True, True),
        ("FULLY_CONNECTED", True, True),
        ("QUANTIZE", True, False),
        ("FULLY_CONNECTED", False, False),
        ("SOFTMAX", False, False),
    ]
    assert {graph.tensors[i].type for i in (*graph.inputs, *graph.outputs)} == {schema.TensorType.INT8}


def test_widening_is_exact() -> None:
    """What an operator reads in 16 bits has the scale of the 8-bit value: the same steps from zero."""
    graph = read_graph(form_of("depthwise", ("4",)))
    for layer in graph.layers:
        source, output = graph.tensors[layer.inputs[0]], graph.tensors[layer.output]
        if layer.kind == "quantize" and output.dtype == "int16":
            assert output.scale == source.scale


def test_the_target_check_knows_which_runtime_takes_it() -> None:
    tflite = write(read_graph(form_of("plain", ("3",))))
    report = check(tflite, "raspberry-pi")
    assert report.fits
    assert any("tflite-runtime 2.14.0 does not widen int8 to int16" in note for note in report.notes)
    if "tflite_runtime" in runtimes() and version("tflite-runtime") == "2.14.0":
        with pytest.raises(InnervateError, match="the runtime refuses the model"):
            TfliteEngine(tflite, "reference", "tflite_runtime")
    assert not check(tflite, "edgetpu").fits


def test_it_learns() -> None:
    form, x = form_of("plain", ("3", "9")), windows(400, seed=9)
    with torch.no_grad():
        for parameter in form.weighted.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
            parameter.mul_(1.0 + 0.2 * noise)
    before = divergence(form, NETWORKS["plain"], x)
    distil(form, NETWORKS["plain"], x, 100, 64, 3e-3, 0)
    assert divergence(form, NETWORKS["plain"], x) < before / 2
    assert distance(TfliteEngine(write(read_graph(form)), "reference", "ai_edge_litert"), form) <= 1


def test_the_worst_is_one_that_can() -> None:
    prepared = prepare(network("residual"), Recipe("ptq"), window_set(windows(512, seed=1)), 0)
    able = forms.can_be_int16(network("residual"))
    ratios = {one.layer: one.alone_db for one in prepared.noise().layers if one.layer in able}
    assert worst_layer(prepared) == min(ratios, key=lambda name: ratios[name] or np.inf)


def test_layers_that_cannot_are_refused_with_those_that_can() -> None:
    with pytest.raises(InnervateError, match=r"16-bit activations \(7\)\. Choose from 0, 3, 6, 9, 11"):
        forms.quantized(network("plain"), int16=("7",))
    torch.manual_seed(0)
    gru = lower(build("gru", 4, 60, 3, {}).eval(), SHAPE)
    with pytest.raises(InnervateError, match="the values of a GRU's step have 8 bits"):
        forms.quantized(gru, int16=("gru",))
    lstm = lower(build("lstm", 4, 60, 3, {}).eval(), SHAPE)
    assert forms.can_be_int16(lstm) == ()
    with pytest.raises(InnervateError, match="no layer of this network can have 16-bit activations"):
        worst_layer(prepare(lstm, Recipe("ptq"), window_set(windows(64)), 0))
