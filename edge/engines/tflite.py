"""Runs a `.tflite` model on tflite-runtime or ai-edge-litert, with a kernel set of one's choice.

What the runtimes have: both run the *reference* kernels (BUILTIN_REF), which define the truth, and the
*optimised* ones (BUILTIN without delegates). XNNPACK takes int8 models in ai-edge-litert only: in the wheels
of tflite-runtime 2.14 it leaves them alone, so `kernels="xnnpack"` there says so instead of running something
else.

ai-edge-litert checks a file before it trusts its offsets, tflite-runtime 2.14 does not and a damaged file may
end the process: give it models out of a checked bundle only.
"""

import importlib.util
from types import ModuleType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from edge.engines.interpreter import InterpreterEngine
from edge.errors import InnervateError

Kernels = Literal["reference", "optimised", "xnnpack"]
RUNTIMES: Final = ("ai_edge_litert", "tflite_runtime")
"""In the order they are tried: the newer one defines the truth. Their reference kernels differ in dense
layers only: LiteRT 2 rounds once, tflite-runtime 2.14 twice, so 1 LSB in about one value of a thousand."""
_RESOLVERS: Final = {
    "reference": "BUILTIN_REF",
    "optimised": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "xnnpack": "BUILTIN",
}


def runtimes() -> tuple[str, ...]:
    """Names of the TFLite runtimes installed."""
    return tuple(name for name in RUNTIMES if importlib.util.find_spec(name) is not None)


class TfliteEngine(InterpreterEngine):
    """An int8 model in a TFLite interpreter.

    Args:
        model: bytes of a `.tflite` file that `edge.model_file.read_io` reads.
        kernels: the kernel set to run.
        runtime: one of `RUNTIMES`; None for the first that is installed and has the kernels.
        threads: of the interpreter.
        keeps_state: whether state goes on from window to window.

    Raises:
        InnervateError: no runtime, kernels it does not have, or a model it refuses.
    """

    def __init__(
        self,
        model: bytes,
        kernels: Kernels = "reference",
        runtime: str | None = None,
        threads: int = 1,
        keeps_state: bool = False,
    ) -> None:
        if kernels not in _RESOLVERS:
            raise InnervateError(f"unknown kernels '{kernels}'", "", f"Choose from {', '.join(_RESOLVERS)}")
        super().__init__(model, keeps_state)
        if runtime is None:
            runtime = _runtime_with(kernels)
        self.name: str = f"{runtime} {kernels}"
        """Runtime and kernel set."""
        self._interpreter = _interpreter(_module(runtime), model, kernels, threads)
        if kernels == "xnnpack" and not _is_delegated(self._interpreter):
            raise InnervateError(
                "XNNPACK did not take the model",
                self.name,
                "Use kernels='optimised', or ai-edge-litert as the runtime",
            )
        # Both lists are in the file's order, as the places in ModelIo are.
        self._inputs: list[dict[str, Any]] = self._interpreter.get_input_details()
        self._outputs: list[int] = [details["index"] for details in self._interpreter.get_output_details()]
        self.reset()

    def _invoke(self) -> None:
        self._interpreter.invoke()

    def _forget(self) -> None:
        self._interpreter.reset_all_variables()

    def _shape(self, place: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._inputs[place]["shape"])

    def _feed(self, place: int, values: NDArray[np.int8]) -> None:
        self._interpreter.set_tensor(self._inputs[place]["index"], values.reshape(self._shape(place)))

    def _given(self, place: int) -> NDArray[np.int8]:
        output: NDArray[np.int8] = self._interpreter.get_tensor(self._outputs[place])
        return output


def _runtime_with(kernels: Kernels) -> str:
    """First installed runtime that has the kernels."""
    installed = runtimes()
    if not installed:
        raise InnervateError("no TFLite runtime", "", "Install tflite-runtime or ai-edge-litert")
    if kernels != "xnnpack":
        return installed[0]
    if "ai_edge_litert" not in installed:
        raise InnervateError(
            "tflite-runtime is built without XNNPACK for int8 models",
            "kernels xnnpack",
            "Install ai-edge-litert, or use kernels='optimised'",
        )
    return "ai_edge_litert"


def _module(runtime: str) -> ModuleType:
    try:
        return importlib.import_module(f"{runtime}.interpreter")
    except ImportError as error:
        raise InnervateError(
            f"{runtime} cannot be imported: {error}", "", f"Install it, or use one of {RUNTIMES}"
        ) from error


def _interpreter(module: ModuleType, model: bytes, kernels: Kernels, threads: int) -> Any:
    resolver = getattr(module.OpResolverType, _RESOLVERS[kernels])
    try:
        interpreter = module.Interpreter(
            model_content=model, num_threads=threads, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InnervateError(
            f"the runtime refuses the model: {reason}", module.__name__, "Convert it again"
        ) from error
    return interpreter


def _is_delegated(interpreter: Any) -> bool:
    """Whether a delegate took any operator; the interpreters say so only in this private list."""
    return any(operator["op_name"] == "DELEGATE" for operator in interpreter._get_ops_details())
