"""A chain of Keras layers with an LSTM or a GRU, as a torch network: that has an int8 form.

TensorFlow's converter unrolls Keras 3's recurrent layers or fails on them. Their weights fit torch's modules:
Keras stores kernels [inputs, units], the LSTM's gates in the same order (input, forget, cell, output) and the
GRU's as update, reset, new, where torch has reset, update, new; with `reset_after` both compute the same.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError
from train.models._stepwise import Stepwise

Settings = dict[str, Any]
Arrays = list[NDArray[np.float32]]
_SKIPPED: Final = (
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
)
_CHAIN: Final = (
    "Use Conv1D, pooling, BatchNormalization and ReLU, then LSTM layers or one GRU, then Dense layers; "
    "or train the network with innervate train"
)


def to_torch(
    layers: tuple[dict[str, Any], ...], weights: dict[str, NDArray[np.float32]], channels: int
) -> nn.Module:
    """Build the network: logits [N, K] of windows [N, channels, 1, T].

    Args:
        layers: class, name, settings and number of weights of each, in order.
        weights: by `LAYER.NUMBER`.
        channels: of the window.

    Raises:
        InnervateError: a layer that has no place in such a network, named.
    """
    chain = _Chain(channels)
    for i, layer in enumerate(layers):
        arrays = [weights[f"{i}.{j}"] for j in range(layer["weights"])]
        chain.add(layer["class"], layer["name"], layer["settings"], arrays)
    return chain.network().eval()


class _Chain:
    """Modules before, in and after the recurrent layers."""

    def __init__(self, channels: int) -> None:
        self.size = channels
        self.name = ""
        self.front: list[nn.Module] = []
        self.recurrent: list[nn.Module] = []
        self.head: list[nn.Module] = []
        self.ended = False  # the last recurrent layer gives its last state only
        self.probabilities = False

    def refuse(self, what: str, fix: str = _CHAIN) -> InnervateError:
        return InnervateError(what, f"layer '{self.name}'", fix)

    def add(self, kind: str, name: str, settings: Settings, arrays: Arrays) -> None:
        """Take the next layer."""
        self.name = name
        if kind in _SKIPPED:
            return
        add = _LAYERS.get(kind)
        if add is None:
            raise self.refuse(f"{kind} beside recurrent layers has no int8 form here")
        if self.probabilities:
            raise self.refuse(f"{kind} comes after the softmax", "Let the softmax end the model")
        add(self, settings, arrays)

    def network(self) -> nn.Module:
        """The finished network.

        Raises:
            InnervateError: it does not end in probabilities of a window.
        """
        if not (self.ended and self.probabilities and isinstance(self.head[-1], nn.Linear)):
            raise self.refuse(
                "The model does not end in a softmax of classes after the last state",
                "Use return_sequences=False in the last, then Dense(classes, activation='softmax')",
            )
        if isinstance(self.recurrent[0], nn.GRU):
            return self._stepwise(self.recurrent[0])
        return _Sequence(nn.Sequential(*self.front), self.recurrent, nn.Sequential(*self.head))

    def _stepwise(self, gru: nn.GRU) -> nn.Module:
        chunk = 1
        front: nn.Module = nn.Flatten()
        if self.front:
            pool = self.front[0]
            if len(self.front) > 1 or not isinstance(pool, nn.AvgPool2d) or pool.kernel_size != pool.stride:
                raise self.refuse(
                    "Layers before the GRU look at more than one of its steps",
                    "Put the GRU first, or only AveragePooling1D(n, strides=n) before it",
                )
            chunk = int(pool.kernel_size[1])  # type: ignore[index]
            front = nn.Sequential(pool, nn.Flatten())
        if len(self.head) != 1:
            raise self.refuse("Several Dense layers follow the GRU", "Let Dense(classes) follow it at once")
        made = Stepwise(front, chunk, gru.input_size, gru.hidden_size, self.head[0].out_features)  # type: ignore[arg-type]
        made.gru, made.dense = gru, self.head[0]  # type: ignore[assignment]
        return made

    def need(self, place: str) -> None:
        """Check that a layer that works on steps, or on a vector, finds such."""
        if place == "steps" and self.recurrent:
            raise self.refuse("A layer over the steps follows a recurrent layer")
        if place == "vector" and not self.ended:
            raise self.refuse("A dense layer over steps has no int8 form here")

    def activate(self, activation: str) -> None:
        """Add what follows a layer."""
        if activation == "softmax" and self.ended:
            self.probabilities = True
        elif activation == "relu":
            (self.head if self.ended else self.front).append(nn.ReLU())
        elif activation != "linear":
            raise self.refuse(f"The activation '{activation}' has no int8 form here", "Use 'relu'")


class _Sequence(nn.Module):
    """Logits [N, K] of [N, C, 1, T]: layers over time, LSTMs, dense layers on the last state."""

    def __init__(self, front: nn.Sequential, lstms: list[nn.Module], head: nn.Sequential) -> None:
        super().__init__()
        self.front, self.lstms, self.head = front, nn.ModuleList(lstms), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = self.front(x).squeeze(2).permute(0, 2, 1)
        for lstm in self.lstms:
            steps = lstm(steps)[0]
        logits: torch.Tensor = self.head(steps[:, -1])
        return logits


def _assign(parameter: Any, values: NDArray[np.float32]) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _conv(chain: _Chain, settings: Settings, arrays: Arrays) -> None:
    chain.need("steps")
    kernel = arrays[0]  # [taps, inputs, filters]
    taps, _, filters = kernel.shape
    padding, stride, dilation = (
        settings["padding"],
        _one(settings["strides"]),
        _one(settings["dilation_rate"]),
    )
    reach = dilation * (taps - 1)
    if padding == "same" and stride != 1:
        raise chain.refuse("A strided convolution with padding 'same' has no form in torch", "Use 'valid'")
    if padding != "valid" and reach:
        before = reach if padding == "causal" else reach // 2
        chain.front.append(nn.ZeroPad2d((before, reach - before, 0, 0)))
    module = nn.Conv2d(
        chain.size,
        filters,
        (1, taps),
        (1, stride),
        0,
        (1, dilation),
        settings.get("groups", 1),
        len(arrays) > 1,
    )
    _assign(module.weight, kernel.transpose(2, 1, 0)[:, :, None])
    if len(arrays) > 1:
        _assign(module.bias, arrays[1])
    chain.front.append(module)
    chain.size = filters
    chain.activate(settings["activation"])


def _batch_norm(chain: _Chain, settings: Settings, arrays: Arrays) -> None:
    chain.need("steps")
    module = nn.BatchNorm2d(chain.size, eps=settings["epsilon"])
    values = iter(arrays)
    scaled = ("weight", settings["scale"]), ("bias", settings["center"])
    for name, there in (*scaled, ("running_mean", True), ("running_var", True)):
        if there:
            _assign(getattr(module, name), next(values))
    chain.front.append(module)


def _pool(kind: Callable[[Any, Any], nn.Module]) -> Callable[[_Chain, Settings, Arrays], None]:
    def add(chain: _Chain, settings: Settings, arrays: Arrays) -> None:
        chain.need("steps")
        if settings["padding"] != "valid":
            raise chain.refuse("A pooling with padding 'same' beside recurrent layers", "Use padding='valid'")
        size, stride = _one(settings["pool_size"]), _one(settings["strides"])
        chain.front.append(kind((1, size), (1, stride)))

    return add


def _checked(chain: _Chain, settings: Settings, wanted: Settings) -> None:
    for key, value in wanted.items():
        if settings.get(key, value) != value:
            raise chain.refuse(f"{key}={settings[key]!r} has no int8 form here", f"Use {key}={value!r}")
    if chain.ended:
        raise chain.refuse(
            "It follows a layer that gives its last state only", "Use return_sequences=True there"
        )
    if chain.recurrent and not all(isinstance(module, nn.LSTM) for module in chain.recurrent):
        raise chain.refuse("Recurrent layers of several kinds", "Use LSTM layers only, or one GRU")


_PLAIN: Final = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "go_backwards": False,
    "stateful": False,
}


def _lstm(chain: _Chain, settings: Settings, arrays: Arrays) -> None:
    _checked(chain, settings, _PLAIN)
    units = settings["units"]
    module = nn.LSTM(chain.size, units, batch_first=True)
    _assign(module.weight_ih_l0, arrays[0].T)
    _assign(module.weight_hh_l0, arrays[1].T)
    _assign(module.bias_ih_l0, arrays[2] if len(arrays) > 2 else np.zeros(4 * units, np.float32))
    _assign(module.bias_hh_l0, np.zeros(4 * units, np.float32))
    chain.recurrent.append(module)
    chain.size, chain.ended = units, not settings["return_sequences"]


def _gru(chain: _Chain, settings: Settings, arrays: Arrays) -> None:
    _checked(chain, settings, _PLAIN | {"reset_after": True, "return_sequences": False})
    if chain.recurrent:
        raise chain.refuse("A GRU follows a recurrent layer", "Use LSTM layers only, or one GRU")
    units = settings["units"]
    module = nn.GRU(chain.size, units, batch_first=True)
    biases = arrays[2] if len(arrays) > 2 else np.zeros((2, 3 * units), np.float32)
    order = np.r_[units : 2 * units, :units, 2 * units : 3 * units]
    _assign(module.weight_ih_l0, arrays[0].T[order])
    _assign(module.weight_hh_l0, arrays[1].T[order])
    _assign(module.bias_ih_l0, biases[0][order])
    _assign(module.bias_hh_l0, biases[1][order])
    chain.recurrent.append(module)
    chain.size, chain.ended = units, True


def _dense(chain: _Chain, settings: Settings, arrays: Arrays) -> None:
    chain.need("vector")
    module = nn.Linear(chain.size, settings["units"], len(arrays) > 1)
    _assign(module.weight, arrays[0].T)
    if len(arrays) > 1:
        _assign(module.bias, arrays[1])
    chain.head.append(module)
    chain.size = settings["units"]
    chain.activate(settings["activation"])


def _one(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value)


_LAYERS: Final[dict[str, Callable[[_Chain, Settings, Arrays], None]]] = {
    "Activation": lambda chain, settings, _: chain.activate(settings["activation"]),
    "AveragePooling1D": _pool(nn.AvgPool2d),
    "BatchNormalization": _batch_norm,
    "Conv1D": _conv,
    "Dense": _dense,
    "GRU": _gru,
    "LSTM": _lstm,
    "MaxPooling1D": _pool(nn.MaxPool2d),
    "ReLU": lambda chain, settings, _: chain.activate("relu"),
    "Softmax": lambda chain, settings, _: chain.activate("softmax"),
}
