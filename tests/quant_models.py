"""Small networks and their quantized forms for the tests of the quantizer."""

from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from quantize.calibrate import calibrate
from quantize.extract import read_graph
from quantize.lower import lower
from quantize.qat import QuantNetwork
from quantize.tflite_writer import write
from train.windows import WindowSet

CHANNELS, LENGTH, CLASSES = 4, 60, 5
SHAPE = (CHANNELS, 1, LENGTH)


class Residual(nn.Module):
    """A block whose output is added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


def networks() -> dict[str, nn.Module]:
    """One network for each thing the quantizer must get right; weights and batch norms random but fixed."""
    c, k = CHANNELS, CLASSES
    made: dict[str, nn.Module] = {
        "plain": nn.Sequential(
            nn.Conv2d(c, 12, (1, 5), (1, 2), bias=False), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 16, (1, 3)), nn.BatchNorm2d(16), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 8), nn.ReLU(),
            nn.Linear(8, k),
        ),
        "depthwise": nn.Sequential(
            nn.Conv2d(c, 2 * c, (1, 7), groups=c, padding="same"), nn.BatchNorm2d(2 * c), nn.ReLU(),
            nn.Conv2d(2 * c, 2 * c, (1, 3), groups=2 * c, stride=(1, 2)), nn.Conv2d(2 * c, 10, 1), nn.ReLU(),
            nn.AvgPool2d((1, 4)), nn.Flatten(), nn.Linear(10 * 7, k),
        ),
        "dilated, maximum, flat": nn.Sequential(
            nn.BatchNorm2d(c), nn.Conv2d(c, 9, (1, 3), dilation=(1, 4)), nn.MaxPool2d((1, 3)), nn.ReLU(),
            nn.Conv2d(9, 6, (1, 3), dilation=(1, 2), padding=(0, 2)), nn.Flatten(), nn.Linear(6 * 17, k),
        ),
        "padded": nn.Sequential(
            nn.Conv2d(c, 8, (1, 5), stride=(1, 2), padding=(0, 2)), nn.ReLU(),
            nn.ZeroPad2d((4, 0, 0, 0)), nn.Conv2d(8, 8, (1, 3), dilation=(1, 2)), nn.ReLU(),
            nn.MaxPool2d((1, 3), stride=(1, 1), padding=(0, 1)), nn.Conv2d(8, k, 1), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ),
        "residual": nn.Sequential(
            nn.Conv2d(c, 8, (1, 1)), nn.ReLU(), Residual(8), Residual(8), nn.AvgPool2d((1, 5), (1, 3)),
            nn.Flatten(), nn.Linear(8 * 19, k),
        ),
    }  # fmt: skip
    for number, model in enumerate(made.values()):
        torch.manual_seed(number)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.reset_parameters()
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.uniform_(-0.3, 0.3)
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.2, 0.6)
        model.eval()
    return made


def windows(count: int, seed: int = 0, shape: tuple[int, int] = (LENGTH, CHANNELS)) -> NDArray[np.int8]:
    """Smooth random windows int8 [count, length, channels]."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 60, (count, *shape)).astype(np.float32)
    raw[:, 1:] = 0.5 * raw[:, 1:] + 0.5 * raw[:, :-1]
    return np.clip(np.rint(raw), -128, 127).astype(np.int8)


def window_set(x: NDArray[np.int8], context: NDArray[np.float32] | None = None) -> WindowSet:
    """Windows of one recording, their classes in turn."""
    count = len(x)
    names = np.full(count, "one")
    numbers = np.arange(count)
    vectors = np.zeros((count, 0), np.float32) if context is None else context
    return WindowSet(x, numbers % CLASSES, names, names, names, numbers * 0, numbers, vectors)


def quantized(model: nn.Module, shape: tuple[int, ...] = SHAPE) -> QuantNetwork:
    """A calibrated network."""
    network = QuantNetwork(lower(model, shape))
    calibrate(network, as_input(windows(512, seed=1, shape=(shape[2], shape[0]))))
    return network


def as_input(x: NDArray[np.int8]) -> torch.Tensor:
    return torch.from_numpy(x).permute(0, 2, 1).unsqueeze(2).float() / 128


def tensors(tflite: bytes, x: NDArray[np.int8], kernels: str) -> list[dict[int, NDArray[Any]]]:
    """All activations for each window, from ai-edge-litert; only the first and last with delegates."""
    import ai_edge_litert.interpreter as litert

    interpreter = litert.Interpreter(
        model_content=tflite,
        experimental_op_resolver_type=getattr(litert.OpResolverType, kernels),
        experimental_preserve_all_tensors=kernels == "BUILTIN_REF",
        num_threads=1,
    )
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    details = interpreter.get_tensor_details() if kernels == "BUILTIN_REF" else [result]
    outputs = []
    for window in x:
        interpreter.set_tensor(source["index"], window.reshape(source["shape"]))
        interpreter.invoke()
        outputs.append(
            {d["index"]: interpreter.get_tensor(d["index"]) for d in details if d["dtype"] == np.int8}
        )
    return outputs


def file_of(model: nn.Module) -> bytes:
    return write(read_graph(quantized(model)), {"task": "test"})


def divergence(network: nn.Module, model: nn.Module, x: NDArray[np.int8]) -> float:
    """Kullback-Leibler divergence of a network's probabilities from its model's, nats a window."""
    with torch.no_grad():
        said, target = network(as_input(x)).log_softmax(1), model(as_input(x)).log_softmax(1)
    return float(functional.kl_div(said, target, reduction="batchmean", log_target=True))


def operators(tflite: bytes) -> list[str]:
    """Names of a file's operators, in order."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return [names[model.operatorCodes[o.opcodeIndex].builtinCode] for o in model.subgraphs[0].operators]
