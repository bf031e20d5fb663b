"""Building firmware: the same bytes every time, whole or not at all, and a sentence for every mistake."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.errors import InnervateError
from edge.firmware import boards
from edge.firmware.boards import board_names, load_board
from edge.firmware.build import build
from edge.link import Link
from edge.signal_path import SignalPath
from tests.tiny_bundle import RULE, tiny_bundle, tiny_path
from tests.tiny_firmware import build_tiny, need_board, write_model


@pytest.mark.parametrize("board", ["host", "netduinoplus2"])
def test_same_inputs_same_bytes(board: str, tmp_path: Path) -> None:
    need_board(board)
    bundle = tiny_bundle()
    first = build_tiny(bundle, board, tmp_path / "a")
    second = build_tiny(bundle, board, tmp_path / "quite" / "elsewhere")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.build_id == second.build_id
    changed = tiny_bundle(rule=msgspec.structs.replace(RULE, votes=4))
    assert build_tiny(changed, board, tmp_path / "c").build_id != first.build_id


def test_sizes_are_those_of_the_board(tmp_path: Path) -> None:
    need_board("netduinoplus2")
    firmware = build_tiny(tiny_bundle(), "netduinoplus2", tmp_path)
    board = load_board("netduinoplus2")
    # 8 KiB of stack and 2 KiB of receive buffer at least; 4 kB of application and core.
    assert 10240 < firmware.ram < board.ram_bytes
    assert 4096 < firmware.flash < 32768
    assert firmware.path.stat().st_size > firmware.flash
    assert firmware.largest_frames[0][1] >= firmware.largest_frames[-1][1] > 0


def test_unknown_board_lists_the_boards(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match=r"unknown board toaster. .*host, netduinoplus2"):
        build(tiny_bundle(), "toaster", tmp_path, tmp_path / "fw")


def test_missing_compiler_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InnervateError, match="apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"):
        build(tiny_bundle(), "netduinoplus2", tmp_path, tmp_path / "fw.elf")


def test_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="0 models where one belongs"):
        build(tiny_bundle(), "host", tmp_path, tmp_path / "fw")
    with pytest.raises(InnervateError, match="0 models"):
        build(tiny_bundle(), "host", tmp_path / "missing", tmp_path / "fw")


def test_model_of_another_shape(tmp_path: Path) -> None:
    bundle = tiny_bundle()
    write_model(bundle.model, tmp_path / "model")
    longer = altered_path(bundle.signal_path, window=60)
    model = msgspec.structs.replace(bundle.pipeline.model, chunk=60)
    other = replace(
        bundle, pipeline=msgspec.structs.replace(bundle.pipeline, signal_path=longer, model=model)
    )
    with pytest.raises(InnervateError, match="other sizes than the bundle"):
        build(other, "host", tmp_path / "model", tmp_path / "out" / "fw")
    assert not (tmp_path / "out").exists()


def altered_path(path: SignalPath, **changes: object) -> SignalPath:
    return msgspec.structs.replace(path, **changes)


def test_more_channels_than_a_frame_carries(tmp_path: Path) -> None:
    path, bundle = tiny_path(), tiny_bundle()
    names = tuple(f"c{i}" for i in range(59))
    wide = altered_path(path, channels=names, multiplier=(1,) * 59, right_shift=(0,) * 59)
    write_model(bundle.model, tmp_path / "model")
    other = replace(bundle, pipeline=msgspec.structs.replace(bundle.pipeline, signal_path=wide))
    with pytest.raises(InnervateError, match="59 channels"):
        build(other, "host", tmp_path / "model", tmp_path / "fw")


MODEL_H = """
#include <stdint.h>
#define TINY_INPUT_SIZE 160
#define TINY_OUTPUT_SIZE 3
typedef struct {{ int8_t arena[{arena}]; }} tiny_t;
void tiny_reset(tiny_t *m);
void tiny_run(tiny_t *m, const int8_t *input, int8_t *output);
"""
MODEL_C = """
#include "tiny.h"
static const int8_t weights[{weights}] = {{1}};
void tiny_reset(tiny_t *m) {{ m->arena[0] = 0; }}
void tiny_run(tiny_t *m, const int8_t *input, int8_t *output)
{{
    m->arena[input[1] & 1] = input[0];
    output[0] = weights[input[0] & 127];
    output[1] = m->arena[1];
    output[2] = 0;
}}
"""


@pytest.mark.parametrize(
    ("weights", "arena", "region"), [(2_000_000, 128, "FLASH"), (128, 131_072, "RAM"), (128, 128, "")]
)
def test_too_large_for_the_board(weights: int, arena: int, region: str, tmp_path: Path) -> None:
    need_board("netduinoplus2")
    model = tmp_path / "model"
    model.mkdir()
    (model / "tiny.h").write_text(MODEL_H.format(arena=arena))
    (model / "tiny.c").write_text(MODEL_C.format(weights=weights))
    if not region:
        assert build(tiny_bundle(), "netduinoplus2", model, tmp_path / "fw.elf").flash > 4096
        return
    with pytest.raises(InnervateError, match=rf"bytes too large for the board's {region}"):
        build(tiny_bundle(), "netduinoplus2", model, tmp_path / "fw.elf")
    assert list(tmp_path.iterdir()) == [model]


def test_a_failed_build_leaves_the_old_firmware(tmp_path: Path) -> None:
    bundle = tiny_bundle()
    firmware = build_tiny(bundle, "host", tmp_path)
    before = firmware.path.read_bytes()
    (tmp_path / "model" / "tiny.c").write_text("not C\n")
    with pytest.raises(InnervateError, match=r"cc failed: .*tiny\.c"):
        build(bundle, "host", tmp_path / "model", firmware.path)
    assert firmware.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["firmware", "model"]


def test_every_board_has_what_it_must() -> None:
    assert {"host", "netduinoplus2"} <= set(board_names())
    for name in board_names():
        board = load_board(name)
        assert (board.folder / "board.c").is_file()
        assert board.description
        assert board.packages


def test_a_new_board_is_one_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "boards" / "mine"
    folder.mkdir(parents=True)
    for path in load_board("host").folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(boards, "BOARDS", tmp_path / "boards")
    assert board_names() == ["mine"]
    firmware = build_tiny(tiny_bundle(), "mine", tmp_path)
    with Link.open("host:", firmware.path) as link:
        assert link.info is not None
        assert link.info.board == "mine"


def test_a_wrong_board_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "board.toml").write_text('compiler = "cc"\n')
    monkeypatch.setattr(boards, "BOARDS", tmp_path)
    with pytest.raises(InnervateError, match=r"board description is wrong: .*description.*board\.toml"):
        load_board("mine")
