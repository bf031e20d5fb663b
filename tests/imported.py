"""Models as other converters write them, and the reference interpreter to run them with.

`tests/data/imported` holds files as they came: `litert_*` of litert-torch 0.10 and ai-edge-quantizer 0.10
(static int8), `keras_*` of TensorFlow's converter 2.21 (full-integer), all of random networks.
"""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from quantize.importing.editing import Graph

FOLDER = Path(__file__).parent / "data" / "imported"


def read(name: str) -> bytes:
    return (FOLDER / f"{name}.tflite").read_bytes()


def operators(tflite: bytes) -> list[str]:
    return [node.name for node in Graph(tflite).nodes]


def run(tflite: bytes, inputs: NDArray[Any]) -> NDArray[Any]:
    """Outputs of the reference kernels, one run for each of `inputs` [N, ...], each flat."""
    interpreter = Interpreter(model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for values in inputs:
        interpreter.reset_all_variables()
        interpreter.set_tensor(source["index"], values.reshape(source["shape"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"]).reshape(-1))
    return np.array(outputs)


def random_inputs(tflite: bytes, count: int, seed: int = 0) -> NDArray[np.int8]:
    graph = Graph(tflite)
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(seed).integers(-128, 128, (count, *shape)).astype(np.int8)
