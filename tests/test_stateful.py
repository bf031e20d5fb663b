"""Models with state: by which names they are known, run in steps, kept or reset, the same everywhere."""

import ctypes
import dataclasses
import importlib
import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bundle import Bundle, PipelineSpec
from edge.context import ContextField
from edge.decision import Decision, Flag
from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine, runtimes
from edge.errors import InnervateError
from edge.model_file import read_io
from edge.pipeline import Pipeline
from quantize.c99 import build_shared, emit
from tests.stateful_models import (
    FAST,
    FIELDS,
    SLOW,
    lstm_file,
    rename,
    renamed,
    stateful_bundle,
    step_file,
    tensor_of,
)
from tests.tiny_bundle import CHANNELS, CLASSES, HOP, WINDOW, tiny_counts

CHUNK = 10


def windows_of(number: int, seed: int = 0) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-128, 128, (number, WINDOW, CHANNELS), np.int8)


STEP = step_file(CHUNK, context=2)


class Oracle:
    """Runs a file in an interpreter, a chunk at a time; what comes out as NAME.next goes in as NAME."""

    def __init__(self, model: bytes, runtime: str = "ai_edge_litert") -> None:
        module: Any = importlib.import_module(f"{runtime}.interpreter")
        self.interpreter = module.Interpreter(
            model_content=model, experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF
        )
        self.interpreter.allocate_tensors()
        self.inputs = {d["name"]: d for d in self.interpreter.get_input_details()}
        self.outputs = {d["name"]: d for d in self.interpreter.get_output_details()}
        self.first = self.interpreter.get_output_details()[0]["index"]
        self.reset()

    def reset(self) -> None:
        self.interpreter.reset_all_variables()
        self.states = {
            name: np.full(d["shape"], d["quantization"][1], np.int8)
            for name, d in self.inputs.items()
            if f"{name}.next" in self.outputs
        }

    def run(self, window: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        first = self.interpreter.get_input_details()[0]
        for chunk in window.reshape(-1, *first["shape"]):
            self.interpreter.set_tensor(first["index"], chunk)
            for name, values in self.states.items():
                self.interpreter.set_tensor(self.inputs[name]["index"], values)
            if context is not None:
                self.interpreter.set_tensor(self.inputs["context"]["index"], context[None])
            self.interpreter.invoke()
            for name in self.states:
                self.states[name] = self.interpreter.get_tensor(self.outputs[f"{name}.next"]["index"])
        output: NDArray[np.int8] = self.interpreter.get_tensor(self.first)[0]
        return output


# Engines


def native(model: bytes, keeps_state: bool) -> Engine:
    return NativeEngine(build_shared(model), keeps_state)


def interpreter(runtime: str) -> Callable[[bytes, bool], Engine]:
    return lambda model, keeps_state: TfliteEngine(model, runtime=runtime, keeps_state=keeps_state)


ENGINES = {"native": native} | {runtime: interpreter(runtime) for runtime in runtimes()}
FILES = {
    "steps": step_file(CHUNK),
    "single samples": step_file(1),
    "one step": step_file(WINDOW),
    "context": STEP,
    "lstm": lstm_file(),
}


@pytest.mark.parametrize("keeps_state", [False, True])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", ENGINES)
def test_engines_run_the_steps(name: str, file: str, keeps_state: bool) -> None:
    model, x = FILES[file], windows_of(8)
    context = np.array([77, -90], np.int8) if file == "context" else None
    engine = ENGINES[name](model, keeps_state)
    # the reference kernels of the two runtimes differ in dense layers; generated C follows the newer
    oracle = Oracle(model, name if name != "native" else "ai_edge_litert")
    for _ in range(2):
        engine.reset()
        oracle.reset()
        for window in x:
            if not keeps_state:
                oracle.reset()
            np.testing.assert_array_equal(engine.run(window, context), oracle.run(window, context))


@pytest.mark.parametrize("file", ["steps", "lstm"])
@pytest.mark.parametrize("name", ENGINES)
def test_state_and_reset_matter(name: str, file: str) -> None:
    x = windows_of(1)[0]
    kept, apart = (ENGINES[name](FILES[file], keeps) for keeps in (True, False))
    first, second = kept.run(x), kept.run(x)
    assert (first != second).any()
    kept.reset()
    assert np.array_equal(kept.run(x), first)
    assert np.array_equal(apart.run(x), first)
    assert np.array_equal(apart.run(x), first)


@pytest.mark.parametrize("name", ENGINES)
def test_no_context_is_the_mean(name: str) -> None:
    engine, x = ENGINES[name](STEP, False), windows_of(1)[0]
    mean, other = engine.run(x, np.zeros(2, np.int8)), engine.run(x, np.array([127, -128], np.int8))
    assert np.array_equal(engine.run(x), mean)
    assert (mean != other).any()
    assert engine.context_size == 2


@pytest.mark.parametrize("name", ENGINES)
def test_windows_and_contexts_of_another_size_are_refused(name: str) -> None:
    steps, whole = ENGINES[name](FILES["steps"], False), ENGINES[name](FILES["lstm"], False)
    window = windows_of(1)[0]
    assert (steps.has_steps, whole.has_steps) == (True, False)
    for engine, wrong in (
        (steps, window[:0]),
        (steps, window[:15]),
        (steps, window.astype(np.int16)),
        (whole, np.concatenate([window, window])),
    ):
        with pytest.raises(InnervateError, match="is no int8 input of"):
            engine.run(wrong)
    contexts: list[tuple[Engine, Any]] = [
        (steps, np.zeros(1, np.int8)),
        (ENGINES[name](STEP, False), np.zeros(3, np.int8)),
        (ENGINES[name](STEP, False), np.zeros(2, np.int16)),
    ]
    for engine, context in contexts:
        with pytest.raises(InnervateError, match="A context of"):
            engine.run(window, context)


# Generated C


def test_push_keeps_the_states_and_run_leaves_them_to_the_caller(tmp_path: Path) -> None:
    report = emit(STEP, "net", tmp_path / "net")
    text = (tmp_path / "net" / "net.h").read_text()
    assert "void net_push(net_t *m, const int8_t *input, const int8_t *context, int8_t *output);" in text
    assert f"#define NET_HOP_SIZE {CHUNK * CHANNELS} " in text
    assert f"#define NET_STATE_SIZE {8 + 8} " in text  # 7 and 5 bytes, each from a word on
    assert report.state_bytes == 16
    sources = [str(tmp_path / "net" / name) for name in report.sources]
    library = tmp_path / "net.so"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
    flags += ["-fPIC", "-shared", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-static-libubsan"]
    subprocess.run(["gcc", *flags, *sources, "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    memory = np.zeros(report.arena_bytes // 4 + 2 * report.state_bytes // 4, np.uint32)
    context, output = np.array([-50, 60], np.int8), np.zeros(CLASSES, np.int8)
    slow, fast = np.full(SLOW, 5, np.int8), np.full(FAST, -3, np.int8)
    after_slow, after_fast = np.zeros(SLOW, np.int8), np.zeros(FAST, np.int8)

    def call(name: str, *arrays: NDArray[Any]) -> None:
        getattr(loaded, name)(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))

    oracle = Oracle(STEP)
    call("net_reset", memory)
    for chunk in windows_of(20).reshape(-1, CHUNK * CHANNELS):
        expected = oracle.run(chunk, context)
        call("net_push", memory, chunk, context, output)
        assert np.array_equal(output, expected)
        output[:] = 0
        call("net_run", memory, chunk, slow, context, fast, output, after_fast, after_slow)
        assert np.array_equal(output, expected)
        slow[:], fast[:] = after_slow, after_fast


def test_files_without_states_get_no_push(tmp_path: Path) -> None:
    report = emit(lstm_file(), "net", tmp_path / "net")
    assert report.state_bytes == 0
    for name in ("net.h", "net.c"):
        text = (tmp_path / "net" / name).read_text()
        assert not any(word in text for word in ("net_push", "HOP_SIZE", "m->kept", "kept["))


def test_states_that_do_not_pair_are_told_by_the_compiler(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="that do not pair by name"):
        emit(renamed(STEP, rename("slow", "other")), "net", tmp_path / "net")
    assert not (tmp_path / "net").exists()


# Bundles


@pytest.fixture(scope="module")
def kept() -> Bundle:
    return stateful_bundle(STEP, keeps_state=True)


def test_a_bundle_holds_it_all(kept: Bundle) -> None:
    assert kept.pipeline.keeps_state
    assert kept.pipeline.context == FIELDS
    assert kept.pipeline.steps == WINDOW // CHUNK
    golden, oracle = kept.golden, Oracle(STEP)
    assert golden.context.any()
    expected = [oracle.run(window, golden.context) for window in golden.windows]
    np.testing.assert_array_equal(golden.outputs, expected)
    assert not np.array_equal(Oracle(STEP).run(golden.windows[1], golden.context), expected[1])


@pytest.mark.parametrize(
    ("model", "changes", "sentence"),
    [
        (STEP, {"signal_path": {"hop": HOP}}, "a window of 40 samples comes every 20"),
        (STEP, {"context": FIELDS[:1]}, "1 context fields for a model that takes 2"),
        (STEP, {"context": (FIELDS[0], FIELDS[0])}, "of different names"),
        (STEP, {"context": (FIELDS[0], ContextField("b", 0.0, 0.0))}, "deviation 0.0"),
        (STEP, {"signal_path": {"window": 41, "hop": 41}}, "windows of 41 samples x 4 .*model of 10 x 4"),
        (lstm_file(), {"context": FIELDS}, "2 context fields for a model that takes 0"),
        (
            renamed(STEP, lambda graph: setattr(tensor_of(graph, "context").quantization, "scale", [0.5])),
            {},
            "a context of scale 0.5 and zero point 0",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(model: bytes, changes: dict[str, Any], sentence: str) -> None:
    bundle = stateful_bundle(STEP if model == STEP else lstm_file(), keeps_state=True)
    spec = msgspec.structs.replace(bundle.pipeline, model=read_io(model))
    if len(spec.context) != spec.model.context:
        spec = msgspec.structs.replace(spec, context=FIELDS)
    for name, value in changes.items():
        if isinstance(value, dict):
            value = msgspec.structs.replace(spec.signal_path, **value)
        spec = msgspec.structs.replace(spec, **{name: value})
    with pytest.raises(InnervateError, match=sentence):
        spec.validate()
    with pytest.raises(InnervateError, match=sentence):
        Bundle.make(spec, model, bundle.golden, {})


def test_golden_vectors_with_another_context_are_refused(kept: Bundle) -> None:
    golden = dataclasses.replace(kept.golden, context=np.zeros(3, np.int8))
    with pytest.raises(InnervateError, match="golden vectors are of another"):
        Bundle.make(kept.pipeline, kept.model, golden, {})


# The pipeline


def facts(decisions: list[Decision]) -> list[tuple[int, int | None, float, int]]:
    return [(d.sample_index, d.label, d.confidence, d.flags) for d in decisions]


KEPT = {"steps": step_file(CHUNK), "lstm": lstm_file()}


@pytest.fixture(scope="module", params=KEPT)
def stream(request: pytest.FixtureRequest) -> Pipeline:
    bundle = stateful_bundle(KEPT[request.param], keeps_state=True)
    return Pipeline(bundle, TfliteEngine(bundle.model, keeps_state=True))


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 700), max_size=8), first=st.sampled_from([0, 2**32 - 100]))
def test_any_chunking_gives_the_same_decisions(stream: Pipeline, cuts: list[int], first: int) -> None:
    counts = tiny_counts()
    stream.reset()
    whole = facts(stream.push(counts, first))
    stream.reset()
    pieces: list[Decision] = []
    for a, b in itertools.pairwise([0, *sorted(cuts), len(counts)]):
        pieces += stream.push(counts[a:b], first + a)
    assert facts(pieces) == whole


def test_golden_decisions_come_out(stream: Pipeline) -> None:
    golden = stream.bundle.golden
    stream.reset()
    got = stream.push(golden.counts, 0)
    assert [255 if d.label is None else d.label for d in got] == golden.decision_label.tolist()
    assert [round(d.confidence * 256) for d in got] == golden.decision_confidence.tolist()


def test_a_gap_and_a_reset_put_the_state_to_rest(stream: Pipeline) -> None:
    counts = tiny_counts(2000)
    stream.reset()
    alone = facts(stream.push(counts[900:], 900))
    stream.reset()
    before = stream.push(counts[:800], 0)
    after = facts(stream.push(counts[900:], 900))
    assert after[0][3] == Flag.GAP
    assert after[1:] == alone
    assert len(before) > 3
    stream.push(counts[:333], 2000)
    stream.reset()
    assert facts(stream.push(counts[900:], 900)) == alone
    stream.use(None)
    assert facts(stream.push(counts[900:], 900)) == alone


def test_without_resets_the_lstm_goes_on_as_in_the_interpreter() -> None:
    bundle = stateful_bundle(lstm_file(), keeps_state=True)
    oracle = Oracle(bundle.model)
    outputs = [oracle.run(window) for window in bundle.golden.windows]
    np.testing.assert_array_equal(bundle.golden.outputs, outputs)
    oracle.reset()
    assert not np.array_equal(oracle.run(bundle.golden.windows[1]), outputs[1])


def test_silence_leaves_the_state(stream: Pipeline) -> None:
    """No samples were lost: windows follow each other as before."""
    counts = tiny_counts()
    stream.reset()
    whole = [d.confidence for d in stream.push(counts)]
    stream.reset()
    first = stream.push(counts[:300])
    stream.stale()
    assert [d.confidence for d in first + stream.push(counts[300:])][: len(first) + 1] == whole[
        : len(first) + 1
    ]


def test_context_of_the_wearer(kept: Bundle) -> None:
    def confidences(context: Any) -> list[float]:
        engine = TfliteEngine(kept.model, keeps_state=True)
        return [d.confidence for d in Pipeline(kept, engine, context=context).push(kept.golden.counts)]

    aged = confidences({"age_years": 63, "sex_male": 1})
    assert aged == confidences(np.array([56, 32], np.int8))
    assert confidences(None) == confidences({"age_years": 41.5, "sex_male": None})
    assert aged != confidences(None)
    pipeline = Pipeline(kept, TfliteEngine(kept.model, keeps_state=True))
    pipeline.tell({"age_years": 63, "sex_male": 1})
    assert [d.confidence for d in pipeline.push(kept.golden.counts)] == aged
    with pytest.raises(InnervateError, match="takes no context height"):
        pipeline.tell({"height": 1.8})
    pipeline.reset()
    assert [d.confidence for d in pipeline.push(kept.golden.counts)] == aged


def test_an_engine_that_treats_its_state_otherwise_is_refused(kept: Bundle) -> None:
    with pytest.raises(InnervateError, match=r"keeps its state not .*keeps_state=True"):
        Pipeline(kept, TfliteEngine(kept.model))
    apart = stateful_bundle(step_file(CHUNK), keeps_state=False)
    with pytest.raises(InnervateError, match="keeps_state=False"):
        Pipeline(apart, TfliteEngine(apart.model, keeps_state=True))


def test_spec_defaults_are_those_of_a_plain_model() -> None:
    fields = {field.name: field.default for field in msgspec.structs.fields(PipelineSpec)}
    assert (fields["keeps_state"], fields["context"]) == (False, ())
