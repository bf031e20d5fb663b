"""Stepwise networks (GRU, CNN and GRU) as one step in int8 operators, the state fed back by who runs it."""

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError
from quantize.calibrate import calibrate, in_float
from quantize.distil import distil
from quantize.graph import QuantGraph
from quantize.gru.network import StepwiseNetwork, lower_stepwise
from quantize.gru.step import read_step
from quantize.gru.stepwise import QuantStepwise
from quantize.tflite_writer import write
from quantize.verify import softmax, to_int8
from tests.quant_models import as_input, divergence, windows
from train import models
from train.models._stepwise import Stepwise

CHANNELS, LENGTH, CLASSES, UNITS, FIELDS = 8, 50, 6, 32, 2
RUNTIMES = [
    ("ai_edge_litert", "BUILTIN_REF"),
    ("ai_edge_litert", "BUILTIN"),
    ("tflite_runtime", "BUILTIN_REF"),
    ("tflite_runtime", "BUILTIN"),
]
FORMS: dict[str, tuple[str, dict[str, Any], int]] = {
    "samples": ("gru", {}, 0),
    "means of samples, context": ("gru", {"stride": 5}, FIELDS),
    "convolutions": ("cnn_gru", {}, 0),
    "convolutions, context": ("cnn_gru", {"layers": [[12, 5, 2]], "features": 7, "units": 20}, FIELDS),
}


def made(form: str = "samples", seed: int = 0, gain: float = 1.0, **settings: int) -> Stepwise:
    """A network whose front has seen windows, so that batch norms matter, and whose outputs differ."""
    name, params, context = FORMS[form]
    channels, length = settings.pop("channels", CHANNELS), settings.pop("length", LENGTH)
    torch.manual_seed(seed)
    model = models.build(name, channels, length, CLASSES, params | settings, context)
    assert isinstance(model, Stepwise)
    with torch.no_grad():
        for _ in range(10):
            model.train()(as_input(signals(64, seed, (length, channels))), *facts(64, context))
        for parameter in model.gru.parameters():
            parameter.mul_(gain)
        model.gru.get_parameter("bias_ih_l0").chunk(3)[1].add_(2)  # so that a state lasts
        for layer in (model.dense, *model.front.modules()):
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(4)
    return model.eval()


def signals(count: int, seed: int = 0, shape: tuple[int, int] = (LENGTH, CHANNELS)) -> NDArray[np.int8]:
    """Random windows [count, *shape] round levels of their own, quiet to loud."""
    rng = np.random.default_rng(seed)
    loudness = rng.permutation(np.linspace(0.05, 1.5, count))[:, None, None]
    level = rng.normal(0, 40, (count, 1, shape[1]))
    steps = np.rint(windows(count, seed, shape) * loudness + level)
    stored: NDArray[np.int8] = np.clip(steps, -128, 127).astype(np.int8)
    return stored


def facts(count: int, size: int, seed: int = 0) -> list[torch.Tensor]:
    """Context on the grid of int8, or none."""
    steps = np.random.default_rng(seed).integers(-128, 128, (count, size))
    return [torch.from_numpy(steps.astype(np.float32)) / 32] if size else []


def lowered(model: Stepwise, shape: tuple[int, int] = (LENGTH, CHANNELS)) -> StepwiseNetwork:
    return lower_stepwise(model, (shape[1], 1, shape[0]), model.context)


def quantized(model: Stepwise, x: NDArray[np.int8]) -> QuantStepwise:
    network = QuantStepwise(lowered(model, (x.shape[1], x.shape[2])))
    calibrate(network, as_input(x), *facts(len(x), model.context, 9))
    return network


class Runner:
    """Drives the step graph through windows, as an engine would."""

    def __init__(self, tflite: bytes, runtime: str = "ai_edge_litert", kernels: str = "BUILTIN_REF") -> None:
        module: Any = importlib.import_module(f"{runtime}.interpreter")
        self.interpreter = module.Interpreter(
            model_content=tflite,
            num_threads=1,
            experimental_op_resolver_type=getattr(module.OpResolverType, kernels),
        )
        self.interpreter.allocate_tensors()
        self.inputs = {d["name"]: d for d in self.interpreter.get_input_details()}
        self.outputs = {d["name"]: d for d in self.interpreter.get_output_details()}
        self.state = np.zeros(self.inputs["state"]["shape"], np.int8)

    def step(self, chunk: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Probabilities after a chunk [samples, channels]; the state goes on."""
        fed: dict[str, Any] = {"window": chunk, "context": context, "state": self.state}
        for name, details in self.inputs.items():
            self.interpreter.set_tensor(details["index"], np.reshape(fed[name], details["shape"]))
        self.interpreter.invoke()
        self.state = self.interpreter.get_tensor(self.outputs["state.next"]["index"])
        output: NDArray[np.int8] = self.interpreter.get_tensor(self.outputs["probabilities"]["index"])[0]
        return output

    def window(self, x: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Probabilities after a window [T, channels]."""
        channels = self.inputs["window"]["shape"][-1]
        chunk = int(np.prod(self.inputs["window"]["shape"])) // channels
        return [self.step(part, context) for part in x.reshape(-1, chunk, channels)][-1]

    def windows(self, x: NDArray[np.int8], context: list[torch.Tensor]) -> NDArray[np.int64]:
        """Probabilities [N, K] of windows that each begin with a state of zero."""
        outputs = []
        for number, window in enumerate(x):
            self.state = np.zeros_like(self.state)
            given = (context[0][number] * 32).numpy().astype(np.int8) if context else None
            outputs.append(self.window(window, given).astype(np.int64))
        return np.array(outputs)


def said(network: nn.Module, x: NDArray[np.int8], context: list[torch.Tensor]) -> NDArray[np.int64]:
    """Probabilities of a fake-quantized network as an int8 file gives them."""
    with torch.no_grad():
        return to_int8(softmax(network(as_input(x), *context).numpy())).astype(np.int64)


@pytest.mark.parametrize("form", FORMS)
def test_without_rounding_it_is_the_network_of_torch(form: str) -> None:
    model, x = made(form), as_input(signals(30))
    network, context = QuantStepwise(lowered(model)), facts(30, model.context)
    with torch.no_grad(), in_float(network):
        torch.testing.assert_close(network(x, *context), model(x, *context), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "units", "gain"), [(8, 32, 1.0), (1, 1, 0.3), (3, 20, 2.0), (6, 11, 4.0)]
)
def test_each_step_is_that_of_the_reference_kernels(channels: int, units: int, gain: float) -> None:
    """Given the same sample and state, the same integers; halves apart, which the kernels round elsewhere."""
    shape = (20, channels)
    model, x = made(channels=channels, units=units, gain=gain, length=20), signals(64, 1, shape)
    network = quantized(model, x)
    runner = Runner(write(read_step(network)))
    differences = []
    with torch.no_grad():
        for window in x[:8]:
            state = torch.zeros(1, units)
            for sample in window:
                features = network.features(as_input(sample[None, None]))
                runner.state = np.rint(state.numpy() * 128).astype(np.int8)
                state = network.gru.step(features.value, state, network.gru.constants(features))["state"]
                runner.step(sample)
                differences.append(runner.state[0] - np.rint(state.numpy()[0] * 128))
    assert np.mean(np.array(differences) != 0) < 0.001


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("runtime", "kernels"), RUNTIMES)
def test_every_runtime_gives_the_outputs_of_the_network(runtime: str, kernels: str, form: str) -> None:
    x = signals(40, seed=2)
    model = made(form)
    network, context = quantized(model, signals(512, seed=1)), facts(40, model.context, 3)
    outputs = Runner(write(read_step(network)), runtime, kernels).windows(x, context)
    wanted = said(network, x, context)
    exactly = (runtime, kernels) == RUNTIMES[0]  # others round elsewhere
    assert np.abs(outputs - wanted).max() <= (0 if exactly else 4)
    assert (outputs.argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.95
    exact = softmax(model(as_input(x), *context).detach().numpy())
    assert np.abs((outputs + 128) / 256 - exact).max() < 0.12
    assert exact.std(axis=0).max() > 0.02  # the outputs do depend on the window


@pytest.mark.parametrize("form", FORMS)
def test_a_kept_state_goes_on_where_the_window_before_ended(form: str) -> None:
    model, x = made(form), signals(12, seed=4)[:, :10]
    network, context = quantized(model, signals(256, seed=1)), facts(1, model.context, 5)
    row = as_input(x).unsqueeze(0)
    with torch.no_grad():
        wanted = to_int8(softmax(network.sequence(row, *context)[0].numpy())).astype(int)
        exact = softmax(model.sequence(row, *context)[0].numpy())
    runner = Runner(write(read_step(network)))
    given = (context[0][0] * 32).numpy().astype(np.int8) if context else None
    outputs = np.array([runner.window(window, given) for window in x]).astype(int)
    np.testing.assert_array_equal(outputs, wanted)
    assert np.abs((outputs + 128) / 256 - exact).max() < 0.12
    afresh = said(network, x, [one.repeat(12, 1) for one in context])
    assert np.array_equal(afresh[0], wanted[0])
    assert np.abs(afresh[1:] - wanted[1:]).max() > 4  # it does matter


def test_one_long_window_is_its_parts_in_a_row() -> None:
    model = made("convolutions")
    network, x = quantized(model, signals(256, seed=1)), as_input(signals(6, seed=7))
    with torch.no_grad():
        for one in (model, network):
            row = one.sequence(x.reshape(2, 3, CHANNELS, 1, LENGTH))
            whole = one(x.reshape(2, 3, CHANNELS, 1, LENGTH).permute(0, 2, 3, 1, 4).flatten(3))
            torch.testing.assert_close(row[:, -1], whole, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(row[:, 0], one(x[::3]), rtol=1e-5, atol=1e-5)


def test_the_file_is_small_and_has_a_state_at_both_ends() -> None:
    tflite = write(read_step(quantized(made(), signals(64))), {"task": "test"})
    assert len(tflite) < 12_000
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    graph = file.subgraphs[0]
    shapes = [[list(graph.tensors[i].shape) for i in ends] for ends in (graph.inputs, graph.outputs)]
    assert shapes == [[[1, CHANNELS], [1, UNITS]], [[1, CLASSES], [1, UNITS]]]
    fed, given_back = graph.tensors[graph.inputs[1]], graph.tensors[graph.outputs[1]]
    for state in (fed, given_back):
        assert state.type == schema.TensorType.INT8
        assert (state.quantization.scale[0], state.quantization.zeroPoint[0]) == (1 / 128, 0)
    signature = file.signatureDefs[0]
    assert [end.name for end in signature.inputs] == [b"window", b"state"]
    assert [end.name for end in signature.outputs] == [b"probabilities", b"state.next"]


def test_a_step_reads_a_chunk_and_the_context() -> None:
    graph = read_step(quantized(made("convolutions, context"), signals(256)))
    ends = [
        [(graph.tensors[i].name, graph.tensors[i].shape) for i in end] for end in (graph.inputs, graph.given)
    ]
    assert ends == [
        [("window", (1, 1, 5, CHANNELS)), ("context", (1, FIELDS)), ("state", (1, 20))],
        [("probabilities", (1, CLASSES)), ("state.next", (1, 20))],
    ]
    assert scale_of(graph, "context") == 1 / 32
    assert scale_of(graph, "state") == scale_of(graph, "state.next") == 1 / 128


def scale_of(graph: QuantGraph, name: str) -> float:
    return next(tensor.scale for tensor in graph.tensors if tensor.name == name)


def test_cost_is_that_of_a_window() -> None:
    network = lowered(made("convolutions, context"))
    front = 12 * 5 * CHANNELS + 12 * 7
    step = front + 3 * 20 * (7 + 20) + CLASSES * (20 + FIELDS)
    assert network.macs == 10 * step
    assert network.parameters == (
        12 * 5 * CHANNELS + 12 + 12 * 7 + 7 + 3 * 20 * (7 + 20) + 6 * 20 + CLASSES * (20 + FIELDS + 1)
    )


def test_distilling_brings_the_quantized_network_nearer() -> None:
    model, x = made(), signals(256, seed=6)
    network = quantized(model, x)
    kernels: Any = network.gru.kernels
    with torch.no_grad():
        for kernel in kernels.values():
            kernel.bias += torch.linspace(-0.5, 0.5, UNITS)

    before = divergence(network, model, x)
    distil(network, model, x, steps=12, batch_size=32, learning_rate=2e-2, seed=0)
    assert divergence(network, model, x) < before / 2


@pytest.mark.parametrize("setting", [{"num_layers": 2}, {"bidirectional": True}, {"bias": False}])
def test_variants_are_refused(setting: dict[str, Any]) -> None:
    model = made()
    model.gru = nn.GRU(CHANNELS, UNITS, batch_first=True, **setting)
    with pytest.raises(InnervateError, match=r"only a GRU of one layer, one direction and with biases"):
        lowered(model)


def test_what_does_not_fit_is_refused() -> None:
    model = made()
    with pytest.raises(InnervateError, match="a window of 51 samples is not a whole number of steps of 5"):
        lower_stepwise(made("convolutions"), (CHANNELS, 1, 51))
    with pytest.raises(InnervateError, match="a head of 32 inputs does not fit 32 units and 3 values"):
        lower_stepwise(model, (CHANNELS, 1, LENGTH), 3)
    front = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS, CHANNELS), nn.ReLU())
    with pytest.raises(InnervateError, match="features that no longer have a sign"):
        lowered(Stepwise(front, 1, CHANNELS, UNITS, CLASSES))
