"""What the emulated board does when its own program goes wrong: it restarts and says why."""

import re
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InnervateError
from edge.firmware.boards import board_names, load_board
from edge.firmware.build import build
from edge.link import Link
from edge.messages import ResetCause, Status
from tests.tiny_bundle import CHANNELS, CLASSES, WINDOW, tiny_bundle
from tests.tiny_firmware import need_board

MODEL_H = f"""
#include <stdint.h>
#define TINY_INPUT_SIZE {WINDOW * CHANNELS}
#define TINY_OUTPUT_SIZE {CLASSES}
typedef struct {{ int8_t unused; }} tiny_t;
void tiny_reset(tiny_t *m);
void tiny_run(tiny_t *m, const int8_t *input, int8_t *output);
"""
MODEL_C = """
#include "tiny.h"
void tiny_reset(tiny_t *m) {{ m->unused = 0; }}
void tiny_run(tiny_t *m, const int8_t *input, int8_t *output)
{{
    (void)m;
    (void)input;
    {body}
    output[0] = output[1] = output[2] = 0;
}}
"""
STACK = "volatile int8_t large[{size}]; for (int i = (int)sizeof large; i-- > 0;) large[i] = input[0];"
NO_END = "for (;;) {}"
FAST = "netduinoplus2"
"""Each board is built and run for each fault; this one always, the others with the slow tests."""

EMULATED = [name for name in board_names() if load_board(name).emulator is not None]
BOARDS = [pytest.param(name, marks=() if name == FAST else pytest.mark.slow) for name in EMULATED]


def run_faulty(body: str, board: str, folder: Path) -> tuple[bool, Status]:
    """Run a model with such a body on a board; return whether it answered, and the status then."""
    model = folder / "model"
    model.mkdir()
    (model / "tiny.h").write_text(MODEL_H)
    (model / "tiny.c").write_text(MODEL_C.format(body=body))
    firmware = build(tiny_bundle(), board, model, folder / "fw.elf")
    window = np.zeros((WINDOW, CHANNELS), np.int8)
    with Link.open(f"qemu:{board}", firmware.path) as link:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("edge.link.ANSWER_SECONDS", 0.5)
            try:
                link.run_model(window)
            except InnervateError:
                patch.undo()
                link.hello()
                return False, link.status()
        return True, link.status()


def stack_bytes(board: str) -> int:
    """What the linker script gives the application."""
    found = re.search(r"^STACK_SIZE = (\d+)K;", load_board(board).linker_script.read_text(), re.M)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize("board", BOARDS)
def test_a_stack_that_just_suffices_is_measured(board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    size, used = stack_bytes(board), stack_bytes(board) * 3 // 4
    answered, status = run_faulty(STACK.format(size=used), board, tmp_path)
    assert answered
    assert (status.boots, status.reset_cause) == (1, ResetCause.POWER_ON)
    assert used < status.stack_used < status.stack_size == size


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("fault", ["stack overflow", "no instruction"])
def test_a_fault_restarts_the_board(fault: str, board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    over = STACK.format(size=stack_bytes(board) * 9 // 8)
    body = over if fault == "stack overflow" else '__asm__ volatile("udf #0");'
    restarted_with(ResetCause.FAULT, body, board, tmp_path)


@pytest.mark.slow  # a second of the boards' time: 10^9 instructions
@pytest.mark.parametrize("board", EMULATED)
def test_a_model_without_end_restarts_the_board(board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    restarted_with(ResetCause.WATCHDOG, NO_END, board, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("board", EMULATED)
def test_the_chips_watchdog_needs_no_interrupts(board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    emulator = load_board(board).emulator
    assert emulator is not None
    if "watchdog" in emulator.not_modelled:
        pytest.skip(f"the emulator of {board} does not model its watchdog")
    restarted_with(ResetCause.WATCHDOG, f'__asm__ volatile("cpsid i"); {NO_END}', board, tmp_path)


def restarted_with(cause: ResetCause, body: str, board: str, folder: Path) -> None:
    answered, status = run_faulty(body, board, folder)
    assert not answered
    assert (status.reset_cause, status.boots) == (cause, 2)
    assert status.stack_used < 1000, "painted anew"
