"""GRU as one step in int8 operators, its state fed back by who runs it."""

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError
from quantize.calibrate import calibrate
from quantize.distil import distil
from quantize.gru.module import QuantGru
from quantize.gru.step import read_step
from quantize.tflite_writer import write
from quantize.verify import softmax, to_int8
from tests.quant_models import as_input, divergence, windows

CHANNELS, STEPS, CLASSES, UNITS = 8, 50, 6, 32
RUNTIMES = [
    ("ai_edge_litert", "BUILTIN_REF"),
    ("ai_edge_litert", "BUILTIN"),
    ("tflite_runtime", "BUILTIN_REF"),
    ("tflite_runtime", "BUILTIN"),
]


class Gru(nn.Module):
    """Torch's own: the last state and a dense layer."""

    def __init__(self, channels: int = CHANNELS, units: int = UNITS, gain: float = 1.0) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, units, batch_first=True)
        self.head = nn.Linear(units, CLASSES)
        with torch.no_grad():
            for parameter in self.gru.parameters():
                parameter.mul_(gain)
            self.head.weight.mul_(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.gru(x.squeeze(2).permute(0, 2, 1))[0][:, -1])
        return logits


def made(seed: int = 0, **settings: Any) -> Gru:
    torch.manual_seed(seed)
    return Gru(**settings).eval()


def signals(count: int, seed: int = 0, shape: tuple[int, int] = (STEPS, CHANNELS)) -> NDArray[np.int8]:
    return windows(count, seed, shape)


def quantized(model: Gru, x: NDArray[np.int8]) -> QuantGru:
    network = QuantGru(model.gru, model.head)
    calibrate(network, as_input(x))
    return network


def states(network: QuantGru, x: NDArray[np.int8]) -> NDArray[np.int64]:
    """Integers of the states after each step [N, steps, units], by the fake-quantized network."""
    with torch.no_grad():
        samples = network.input_quant(as_input(x))
        constants = network.constants(samples)
        state, kept = torch.zeros(len(x), network.units), []
        for step in samples.value.squeeze(2).permute(2, 0, 1):
            state = network.step(step, state, constants)["state"]
            kept.append(torch.round(state * 128).to(torch.int64).numpy())
    return np.stack(kept, axis=1)


class Runner:
    """Drives the step graph through windows, as an engine would."""

    def __init__(self, tflite: bytes, runtime: str, kernels: str) -> None:
        module: Any = importlib.import_module(f"{runtime}.interpreter")
        self.interpreter = module.Interpreter(
            model_content=tflite,
            num_threads=1,
            experimental_op_resolver_type=getattr(module.OpResolverType, kernels),
        )
        self.interpreter.allocate_tensors()
        self.sample, self.state = (d["index"] for d in self.interpreter.get_input_details())
        self.output, self.following = (d["index"] for d in self.interpreter.get_output_details())
        self.size = self.interpreter.get_input_details()[1]["shape"]

    def step(
        self, sample: NDArray[np.int8], state: NDArray[np.int8]
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        self.interpreter.set_tensor(self.sample, sample[None])
        self.interpreter.set_tensor(self.state, state)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)[0], self.interpreter.get_tensor(self.following)

    def run(self, x: NDArray[np.int8]) -> NDArray[np.int64]:
        outputs = []
        for window in x:
            state = np.zeros(self.size, np.int8)
            for sample in window:
                output, state = self.step(sample, state)
            outputs.append(output.astype(np.int64))
        return np.array(outputs)


def test_without_rounding_it_is_the_gru_of_torch() -> None:
    model, x = made(), as_input(signals(30))
    network, state = QuantGru(model.gru, model.head), torch.zeros(30, UNITS)
    with torch.no_grad():
        for step in x.squeeze(2).permute(2, 0, 1):
            state = network.step(step, state, network.constants(x), quantized=False)["state"]
        torch.testing.assert_close(model.head(state), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "units", "gain"), [(8, 32, 1.0), (1, 1, 0.3), (3, 20, 2.0), (6, 11, 4.0)]
)
def test_each_step_is_that_of_the_reference_kernels(channels: int, units: int, gain: float) -> None:
    """Given the same sample and state, the same integers; halves apart, which the kernels round elsewhere."""
    model, x = made(channels=channels, units=units, gain=gain), signals(64, 1, (20, channels))
    network = quantized(model, x)
    runner = Runner(write(read_step(network)), "ai_edge_litert", "BUILTIN_REF")
    differences = []
    for window, wanted in zip(x[:8], states(network, x[:8]), strict=True):
        before = np.zeros((1, units), np.int8)
        for sample, after in zip(window, wanted, strict=True):
            differences.append(np.abs(runner.step(sample, before)[1][0] - after))
            before = after.astype(np.int8)[None]
    assert np.mean(np.array(differences) > 0) < 0.001


@pytest.mark.parametrize(("runtime", "kernels"), RUNTIMES)
def test_every_runtime_gives_the_outputs_of_the_network(runtime: str, kernels: str) -> None:
    x = signals(60, seed=2)
    network = quantized(made(), signals(512, seed=1))
    with torch.no_grad():
        wanted = to_int8(softmax(network(as_input(x)).numpy())).astype(int)
    outputs = Runner(write(read_step(network)), runtime, kernels).run(x)
    assert np.abs(outputs - wanted).max() <= 4
    assert (outputs.argmax(axis=1) == wanted.argmax(axis=1)).mean() >= 0.95


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
    assert [end.name for end in signature.inputs] == [b"sample", b"state"]
    assert [end.name for end in signature.outputs] == [b"probabilities", b"state.next"]


def test_distilling_brings_the_quantized_network_nearer() -> None:
    model, x = made(), signals(256, seed=6)
    network = quantized(model, x)
    kernels: Any = network.kernels
    with torch.no_grad():
        for kernel in kernels.values():
            kernel.bias += torch.linspace(-0.5, 0.5, UNITS)

    before = divergence(network, model, x)
    distil(network, model, x, steps=12, batch_size=32, learning_rate=2e-2, seed=0)
    assert divergence(network, model, x) < before / 2


@pytest.mark.parametrize("setting", [{"num_layers": 2}, {"bidirectional": True}, {"bias": False}])
def test_variants_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(InnervateError, match=r"only a GRU of one layer, one direction and with biases"):
        QuantGru(nn.GRU(CHANNELS, UNITS, **setting), nn.Linear(UNITS, CLASSES))


def test_a_head_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InnervateError, match="a head of 31 inputs does not fit 32 units"):
        QuantGru(nn.GRU(CHANNELS, UNITS), nn.Linear(31, CLASSES))
