"""Building firmware: the same bytes every time, whole or not at all, and a sentence for every mistake."""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.errors import InnervateError
from edge.firmware import boards
from edge.firmware.boards import board_names, load_board
from edge.firmware.build import Firmware, build
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
    with pytest.raises(InnervateError, match=r"unknown board toaster. .*host, .*netduinoplus2"):
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
    with pytest.raises(InnervateError, match=rf"bytes too large for the board's {region} \("):
        build(tiny_bundle(), "netduinoplus2", model, tmp_path / "fw.elf")
    assert list(tmp_path.iterdir()) == [model]


def test_says_by_how_much_a_small_board_is_exceeded(tmp_path: Path) -> None:
    need_board("microbit")
    board, bundle, out = load_board("microbit"), tiny_bundle(), tmp_path / "fw.elf"
    model = tmp_path / "model"
    model.mkdir()

    def build_with(weights: int, arena: int) -> Firmware:
        (model / "tiny.h").write_text(MODEL_H.format(arena=arena))
        (model / "tiny.c").write_text(MODEL_C.format(weights=weights))
        return build(bundle, "microbit", model, out)

    small = build_with(128, 128)
    free_ram, free_flash = board.ram_bytes - small.ram, board.flash_bytes - small.flash
    assert free_ram > 8192, "most of 16 KiB is for the model"
    full = build_with(128 + free_flash, 128 + free_ram)
    assert full.flash == board.flash_bytes
    assert board.ram_bytes - 8 < full.ram <= board.ram_bytes, "all but what aligns sections"
    with pytest.raises(InnervateError, match=r"is 400 bytes too large for the board's RAM \("):
        build_with(128, 128 + free_ram + 400)
    with pytest.raises(
        InnervateError,
        match=r"1,200 bytes too large for the board's FLASH and 400 bytes .* RAM|"
        r"400 bytes too large for the board's RAM and 1,200 bytes .* FLASH",
    ):
        build_with(128 + free_flash + 1200, 128 + free_ram + 400)


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
    emulated = {"microbit", "mps2-an386", "mps2-an500", "mps3-an547", "netduinoplus2"}
    assert {"host"} | emulated <= set(board_names())
    for name in board_names():
        board = load_board(name)
        files = [path.name for folder in board.folders for path in folder.iterdir()]
        assert any(file.endswith(".c") for file in files)
        assert len(files) == len(set(files)), "one would hide the other"
        assert len(name) <= 16, "as long as Info.board"
        assert board.description
        assert board.packages


@pytest.mark.parametrize("board", [name for name in board_names() if load_board(name).flash_bytes])
def test_memory_is_that_of_the_linker_script(board: str) -> None:
    found = load_board(board)
    sizes = dict(re.findall(r"(FLASH|RAM).*LENGTH = (\d+[KM])", found.linker_script.read_text()))
    in_bytes = {name: int(size[:-1]) << {"K": 10, "M": 20}[size[-1]] for name, size in sizes.items()}
    assert in_bytes == {"FLASH": found.flash_bytes, "RAM": found.ram_bytes}


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


def test_a_missing_common_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    toml = (load_board("host").folder / "board.toml").read_text()
    (tmp_path / "mine" / "board.toml").write_text(f'common = ["cortex-z"]\n{toml}')
    monkeypatch.setattr(boards, "BOARDS", tmp_path)
    with pytest.raises(InnervateError, match=r"there is no folder common/cortex-z \(.*board\.toml"):
        load_board("mine")
