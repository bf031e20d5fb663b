"""The tables of what TensorFlow Lite's runtimes have, against those that are installed."""

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version

import pytest
from ai_edge_litert import schema_py_generated as schema

from quantize.targets.litert import LITERT, NO_INT8, TFLITE_RUNTIME, VERSIONS, XNNPACK
from tests.one_operator import Given, one_operator
from tests.target_models import PLANE, ROW, concat, conv, dense, pad, pool, reduced, softmax, strided, unary


def answers(runtime: str, models: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    pytest.importorskip(runtime)
    lines = "".join(f"{key} {data.hex()}\n" for key, data in models)
    command = [sys.executable, "-m", "tests.runtime_probe", runtime]
    run = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, timeout=240)
    return dict(line.split() for line in run.stdout.splitlines())


RUNTIMES = {"tflite_runtime": TFLITE_RUNTIME, "ai_edge_litert": LITERT}


@pytest.mark.parametrize("module", RUNTIMES)
def test_versions_are_those_of_the_runtime_installed(module: str) -> None:
    name, tested = RUNTIMES[module].split()
    pytest.importorskip(module)
    if version(name) != tested:
        pytest.skip(f"{name} {version(name)} is installed, the table is of {tested}")
    newest = VERSIONS[RUNTIMES[module]]
    every = [n for n in vars(schema.BuiltinOperator) if n[0] != "_" and n not in ("CUSTOM", "DELEGATE")]
    models = [
        (f"{operator}:{number}", one_operator(operator, [ROW], ROW, version=number))
        for operator in every
        for number in sorted({newest.get(operator, 0), newest.get(operator, 0) + 1} - {0})
    ]
    said = answers(module, models)
    known = {key for key, word in said.items() if word != "unknown"}
    assert known == {f"{operator}:{number}" for operator, number in newest.items()}


UNARY = """
    ABS CEIL COS ELU EXP FLOOR HARD_SWISH LOG NEG RELU RELU6 ROUND RSQRT SIN
    SQRT SQUARE ZEROS_LIKE
""".split()  # noqa: SIM905


@pytest.mark.parametrize("module", RUNTIMES)
def test_int8_kernels_are_those_of_the_runtime_installed(module: str) -> None:
    models = {name: unary(name, (1, 4, 4, 4)) for name in UNARY}
    models["LOGISTIC"] = one_operator(
        "LOGISTIC", [PLANE], Given((1, 4, 4, 4), scale=1 / 256, zero_point=-128)
    )
    models["TANH"] = one_operator("TANH", [PLANE], Given((1, 4, 4, 4), scale=1 / 128))
    models |= {
        "CONV_2D": conv(),
        "MAX_POOL_2D": pool(),
        "CONCATENATION": concat(PLANE),
        "SOFTMAX": softmax((1, 4)),
    }
    models |= {
        "FULLY_CONNECTED": dense(),
        "PAD": pad(0),
        "STRIDED_SLICE": strided(),
        "SUM": reduced("SUM", 1),
    }
    models["DIV"] = one_operator("DIV", [PLANE, PLANE], PLANE, "Div", 2)
    said = answers(module, models.items())
    assert {n for n, word in said.items() if word == "refused"} == set(models) & set(
        NO_INT8[RUNTIMES[module]]
    )
    delegated = {name for name, word in said.items() if word == "delegated"}
    assert delegated == (set(models) & set(XNNPACK) if module == "ai_edge_litert" else set())
