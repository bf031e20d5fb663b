"""Bundles: written whole, read back the same, and anything wrong in one is a sentence."""

import contextlib
import dataclasses
import hashlib
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.archive import pack, unpack
from edge.bundle import CARD, FORMAT, GOLDEN, MANIFEST, MODEL, PIPELINE, Bundle
from edge.errors import InnervateError
from edge.golden import Golden
from edge.model_file import read_io
from quantize.tflite_writer import write
from tests.tiny_bundle import CLASSES, tiny_bundle, tiny_counts, tiny_graph

MEMBERS = [MANIFEST, PIPELINE, MODEL, GOLDEN, CARD]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle(counts=tiny_counts(200))


@pytest.fixture(scope="module")
def data(bundle: Bundle) -> bytes:
    return pack(bundle.members)


def with_members(bundle: Bundle, **contents: bytes | None) -> bytes:
    """The bundle with some members replaced (None: left out) and a manifest that names them rightly."""
    members = dict(bundle.members)
    for name, content in contents.items():
        file = next(member for member in MEMBERS if member.startswith(name))
        if content is None:
            del members[file]
        else:
            members[file] = content
    if "manifest" not in contents:
        hashes = {k: hashlib.sha256(v).hexdigest() for k, v in members.items() if k != MANIFEST}
        members[MANIFEST] = msgspec.json.encode({"format": FORMAT, "sha256": hashes})
    return pack(members)


def refused(data: bytes, *words: str) -> None:
    with pytest.raises(InnervateError) as raised:
        Bundle.decode(data, "x.nrv")
    for word in words:
        assert word in str(raised.value), str(raised.value)


def test_what_is_written_is_read(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "folder" / "x.nrv"
    bundle.save(path)
    read = Bundle.load(path)
    assert read.members == bundle.members
    assert (read.task, read.labels, read.rule) == (bundle.task, bundle.labels, bundle.rule)
    assert read.signal_path == bundle.signal_path
    assert read.hash == bundle.hash
    for name in Golden.__dataclass_fields__:
        assert np.array_equal(getattr(read.golden, name), getattr(bundle.golden, name))
    assert [file.name for file in path.parent.iterdir()] == ["x.nrv"]


def test_any_zip_tool_opens_one(data: bytes, bundle: Bundle) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == MEMBERS
        assert archive.read(MODEL) == bundle.model
        arrays = np.load(io.BytesIO(archive.read(GOLDEN)))
        assert np.array_equal(arrays["windows"], bundle.golden.windows)


def test_the_same_bundle_has_the_same_bytes(data: bytes) -> None:
    assert pack(tiny_bundle(counts=tiny_counts(200)).members) == data


def member_spans(data: bytes) -> dict[str, range]:
    """Bytes of each member, its header included, as another zip reader sees them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        starts = [info.header_offset for info in archive.infolist()] + [archive.start_dir]
        names = archive.namelist()
    return {name: range(a, b) for name, a, b in zip(names, starts, starts[1:], strict=False)}


def test_one_flipped_bit_anywhere_is_found_and_its_member_named(data: bytes) -> None:
    spans = member_spans(data)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(InnervateError) as raised:
            Bundle.decode(bytes(damaged), "x.nrv")
        member = next((name for name, span in spans.items() if position in span), None)
        start = spans[member].start if member else 0
        if member and position >= start + 30 + len(member):
            # in the content
            assert f"x.nrv: {member}" in str(raised.value), (position, str(raised.value))


def test_a_truncated_bundle_is_refused_at_every_length(data: bytes) -> None:
    step = 7
    for length in [*range(0, len(data), step), len(data) - 1]:
        refused(data[:length], "x.nrv")


def test_bytes_after_the_end_are_refused(data: bytes) -> None:
    refused(data + b"\0", "x.nrv")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_in_any_way_it_is_a_sentence(bundle: Bundle, draw: st.DataObject) -> None:
    """Members replaced, cut, doubled and spliced under a manifest that says they are right."""
    name = draw.draw(st.sampled_from(["pipeline", "model", "golden", "card"]))
    original = next(content for member, content in bundle.members.items() if member.startswith(name))
    content = bytearray(original)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, max(0, len(content) - 1)))
        match draw.draw(st.sampled_from(["flip", "cut", "insert", "random"])):
            case "flip" if content:
                content[at] ^= draw.draw(st.integers(1, 255))
            case "cut":
                del content[at : at + draw.draw(st.integers(1, 64))]
            case "insert":
                content[at:at] = draw.draw(st.binary(max_size=16))
            case _:
                content = bytearray(draw.draw(st.binary(max_size=200)))
    with contextlib.suppress(InnervateError):
        Bundle.decode(with_members(bundle, **{name: bytes(content)}), "x.nrv")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_sentence(data: bytes) -> None:
    refused(data, "x.nrv")
    refused(b"PK\x03\x04" + data, "x.nrv")


@pytest.mark.parametrize("name", ["manifest", "pipeline", "model", "golden", "card"])
def test_a_missing_member_is_named(bundle: Bundle, name: str) -> None:
    file = next(member for member in MEMBERS if member.startswith(name))
    refused(with_members(bundle, **{name: None}), file, "missing")


def test_a_manifest_of_another_member_is_refused(bundle: Bundle) -> None:
    refused(pack(dict(bundle.members) | {"more.txt": b"x"}), "x.nrv: more.txt", "not in the manifest")
    refused(pack(dict(bundle.members) | {MODEL: bundle.model + b"\0"}), f"x.nrv: {MODEL}")


def test_another_version_is_named_before_anything_else(bundle: Bundle) -> None:
    manifest = msgspec.json.encode({"format": FORMAT + 1, "everything": "else"})
    refused(
        with_members(bundle, manifest=manifest), f"format {FORMAT + 1}", f"reads format {FORMAT}", MANIFEST
    )


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_zip_bomb_is_not_unpacked(bundle: Bundle) -> None:
    bomb = zipped(dict(bundle.members) | {GOLDEN: b"\0" * (1 << 28)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    refused(bomb, "compressed")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\\b", "C:x", ".hidden", "é", "a\0b", "x" * 200]
)
def test_names_that_lead_elsewhere_are_refused(bundle: Bundle, name: str) -> None:
    content = b"boo"
    raw = name.encode()
    header = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 0x21, 0, 3, 3, len(raw), 0)
    refused(header + raw + content + pack(bundle.members), "unsafe name")


def test_two_members_of_one_name_are_refused(bundle: Bundle) -> None:
    twice = pack({CARD: b"{}"})
    once = twice[: twice.index(b"PK\x01\x02")]
    refused(once + pack(bundle.members), CARD, "two members")


def test_too_many_members_are_refused() -> None:
    refused(pack({f"m{i}": b"" for i in range(100)}), "more than 64 members")


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.nrv"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InnervateError, match="too many"):
        Bundle.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="cannot read: No such file"):
        Bundle.load(tmp_path / "x.nrv")
    with pytest.raises(InnervateError, match="cannot read"):
        Bundle.load(tmp_path)


def test_nothing_half_written_is_left(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge.bundle.os.fsync", full)
    with pytest.raises(InnervateError, match="No space left"):
        bundle.save(tmp_path / "x.nrv")
    assert list(tmp_path.iterdir()) == []


def changed(bundle: Bundle, **changes: Any) -> bytes:
    """pipeline.json with some fields replaced."""
    facts = msgspec.json.decode(bundle.members[PIPELINE])
    for path, value in changes.items():
        target = facts
        *outer, last = path.split("__")
        for key in outer:
            target = target[key]
        target[last] = value
    return with_members(bundle, pipeline=msgspec.json.encode(facts))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signal_path__window": 41}, (PIPELINE, "41 samples")),
        ({"signal_path__window": -1}, (PIPELINE, "window")),
        ({"labels": ["a", "b"]}, (PIPELINE, "2 labels")),
        ({"labels": ["a", "b", "a"]}, (PIPELINE, "labels must differ")),
        ({"model__classes": 4, "labels": ["a", "b", "c", "d"]}, (MODEL, "not as pipeline.json says")),
        ({"model__input_scale": 0.5}, (MODEL, "scales")),
        ({"rule__votes": 0}, (PIPELINE, "votes")),
        ({"rule__min_confidence": 7}, (PIPELINE, "min_confidence")),
        ({"surprise": 1}, (PIPELINE, "surprise")),
        ({"signal_path__multiplier": [1 << 40] * 4}, (PIPELINE, "multiplier")),
    ],
)
def test_parts_that_do_not_fit_each_other_are_named(
    bundle: Bundle, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    refused(changed(bundle, **changes), *words)


def test_golden_vectors_of_another_path_are_refused(bundle: Bundle) -> None:
    golden = bundle.golden
    for change, word in (
        ({"outputs": golden.outputs[:, :-1]}, "another signal path or model"),
        ({"filtered": golden.filtered[1:]}, "another signal path or model"),
        ({"filtered": golden.filtered[:, 1:]}, "another signal path or model"),
        ({"windows": golden.windows.astype(np.int16)}, "windows"),
        ({"window_end": golden.window_end[::-1].copy()}, "window_end"),
        ({"window_end": golden.window_end + 10_000}, "window_end"),
        ({"decision_label": golden.decision_label[None]}, "decision_label"),
        ({"counts": golden.counts[:, 0]}, "counts"),
    ):
        other = dataclasses.replace(golden, **change)
        refused(with_members(bundle, golden=other.encode()), GOLDEN, word)


def test_a_pickle_in_the_golden_vectors_is_not_loaded(bundle: Bundle) -> None:
    members = unpack(bundle.members[GOLDEN], "golden")
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    members["counts.npy"] = stream.getvalue()
    refused(with_members(bundle, golden=pack(members)), GOLDEN, "counts.npy")


def test_the_models_ends_are_read_from_the_file(bundle: Bundle) -> None:
    import ai_edge_litert.interpreter as litert

    interpreter = litert.Interpreter(model_content=bundle.model)
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    io_read = read_io(bundle.model)
    assert (1, 1, io_read.chunk, io_read.channels) == tuple(source["shape"])
    assert (io_read.input_scale, io_read.input_zero_point) == source["quantization"]
    assert (io_read.output_scale, io_read.output_zero_point) == result["quantization"]
    assert io_read.classes == CLASSES


def test_a_model_of_an_absurd_size_is_refused() -> None:
    graph = tiny_graph()
    first = dataclasses.replace(graph.tensors[0], shape=(1, 1, 1 << 24, 4))
    model = write(dataclasses.replace(graph, tensors=(first, *graph.tensors[1:])))
    with pytest.raises(InnervateError, match="damaged"):
        read_io(model)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 255), st.integers(0, 1 << 30))
def test_a_damaged_model_file_is_a_sentence(bundle: Bundle, at: int, flip: int, cut: int) -> None:
    model = bytearray(bundle.model)
    model[at % len(model)] ^= flip
    for damaged in (bytes(model), bytes(model[: cut % len(model)])):
        with contextlib.suppress(InnervateError):
            read_io(damaged)
