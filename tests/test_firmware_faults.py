"""What the emulated board does when its own program goes wrong: it restarts and says why."""

from pathlib import Path

import numpy as np
import pytest

from edge.errors import InnervateError
from edge.firmware.build import build
from edge.link import Link
from edge.messages import ResetCause
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


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (STACK.format(size=6000), None),
        (STACK.format(size=9000), ResetCause.FAULT),
        ('__asm__ volatile("udf #0");', ResetCause.FAULT),
        pytest.param("for (;;) {}", ResetCause.WATCHDOG, marks=pytest.mark.slow),  # 10^9 instructions
    ],
    ids=["stack nearly full", "stack overflow", "no instruction", "no end"],
)
def test_model_that_goes_wrong(body: str, cause: ResetCause | None, tmp_path: Path) -> None:
    need_board("netduinoplus2", emulator=True)
    model = tmp_path / "model"
    model.mkdir()
    (model / "tiny.h").write_text(MODEL_H)
    (model / "tiny.c").write_text(MODEL_C.format(body=body))
    bundle = tiny_bundle()
    firmware = build(bundle, "netduinoplus2", model, tmp_path / "fw.elf")
    window = np.zeros((WINDOW, CHANNELS), np.int8)
    with Link.open("qemu:netduinoplus2", firmware.path) as link:
        if cause is None:
            link.run_model(window)
            status = link.status()
            assert (status.boots, status.reset_cause) == (1, ResetCause.POWER_ON)
            assert 6000 < status.stack_used < status.stack_size == 8192
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("edge.link.ANSWER_SECONDS", 0.5)
            with pytest.raises(InnervateError):
                link.run_model(window)
        link.hello()
        status = link.status()
        assert status.reset_cause == cause
        assert status.boots == 2
        assert status.stack_used < 1000, "painted anew"
