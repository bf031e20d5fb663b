"""Features are the same integers on every processor, and the sanitizers find nothing on the way."""

import shutil
import subprocess
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.build_binding import CORE
from edge.features import Feature, FeatureSet, Kind
from edge.firmware.bench.chain import TARGETS
from edge.firmware.bench.emulator import BOARDS, HERE, layout_flags, run_tool

SAMPLES, CHANNELS, LENGTH = 200, 3, 256
FEATURES = FeatureSet(
    (
        *(Feature(kind) for kind in ("mav", "rms", "variance", "waveform_length", "line_length")),
        *(Feature(kind, threshold=20) for kind in ("zero_crossings", "slope_sign_changes")),
        Feature("willison_amplitude", threshold=500),
        *(Feature(kind) for kind in ("log_detector", "activity", "mobility", "complexity")),
        Feature("autoregression", order=8),
        *(Feature(kind, bins=(3, 40)) for kind in ("band_power", "log_band_power", "mean_frequency")),
        Feature("spectral_edge", bins=(0, 128), share=0.95),
    ),
    LENGTH,
)
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
MAIN = """\
#include "feature_set.h"
#include "files.h"

static const nrv_feature_t features[] = {{ {rows} }};
static const nrv_feature_set_t set = {{features, sizeof features / sizeof *features, {length}}};
static int16_t window[{samples}][{channels}];
static nrv_bin_t scratch[NRV_SPECTRUM_BINS({length})];
static int32_t out[{channels}][{outputs}];

int main(void)
{{
    const int from = bench_open_to_read("windows.bin"), to = bench_open_to_write("features.bin");
    while (bench_read(from, window, sizeof window)) {{
        nrv_features_run(&set, window[0], {samples}, {channels}, scratch, out[0]);
        if (!bench_write(to, out, sizeof out))
            return 1;
    }}
    return 0;
}}
"""


def windows() -> NDArray[np.int16]:
    """Noise of all sizes, a tone, a drift, impulses, full scale, silence: int16 [n, samples, channels]."""
    rng = np.random.default_rng(7)
    t = np.arange(SAMPLES)[:, None]
    shapes = [
        *(rng.normal(size=(SAMPLES, CHANNELS)) * size for size in (0.6, 40, 3000, 30000)),
        30000 * np.sin(t * [0.05, 1.0, 3.1]),
        np.cumsum(rng.normal(size=(SAMPLES, CHANNELS)) * 800, axis=0),
        32767.0 * (t == [0, 77, SAMPLES - 1]),
        rng.choice([-32768.0, 32767.0], (SAMPLES, CHANNELS)),
        np.where(t % 2, [32767.0, -1, 5], [-32768.0, 1, 5]),
        np.zeros((SAMPLES, CHANNELS)),
    ]
    rounded: NDArray[np.int16] = np.clip(np.round(shapes), -32768, 32767).astype(np.int16)
    return rounded


def build(folder: Path, compiler: str, flags: list[str], board: str | None) -> None:
    rows = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in FEATURES.rows())
    text = MAIN.format(
        rows=rows, length=LENGTH, samples=SAMPLES, channels=CHANNELS, outputs=len(FEATURES.names)
    )
    (folder / "main.c").write_text(text)
    sources = [*map(str, (*sorted(CORE.glob("features_*.c")), CORE / "feature_set.c")), "main.c"]
    files = ["files_stdio.c"] if board is None else ["files_semihosting.c", "startup.c"]
    layout = [] if board is None else layout_flags(board)
    include = [f"-I{CORE}", f"-I{HERE}"]
    sources += [str(HERE / name) for name in files]
    run_tool([compiler, *FLAGS, *flags, *include, *sources, *layout, "-o", "main"], folder, "building")


def outputs(folder: Path, command: list[str]) -> NDArray[np.int32]:
    given = windows()
    given.astype("<i2").tofile(folder / "windows.bin")
    run_tool(command, folder, "computing features", timeout_s=60)
    return np.fromfile(folder / "features.bin", "<i4").reshape(len(given), CHANNELS, -1).astype(np.int32)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_gives_the_integers_of_the_host(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    if target.missing:
        pytest.skip(f"not installed: Debian's {', '.join(target.missing.values())}")
    build(tmp_path, target.compiler, [*target.cflags, *([] if target.board else ["-static"])], target.board)
    command = BOARDS[target.board].emulation("main") if target.board else [*target.runner, "./main"]
    np.testing.assert_array_equal(outputs(tmp_path, command), FEATURES.extract(windows()))


def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    sanitizers = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    probe = ["gcc", *sanitizers, "-x", "c", "-", "-o", str(tmp_path / "probe")]
    if subprocess.run(probe, input="int main(void) { return 0; }", text=True, capture_output=True).returncode:
        pytest.skip("gcc without its sanitizer libraries")
    build(tmp_path, "gcc", sanitizers, None)
    np.testing.assert_array_equal(outputs(tmp_path, ["./main"]), FEATURES.extract(windows()))


def test_every_kind_is_among_them() -> None:
    assert {feature.kind for feature in FEATURES.features} == set(get_args(Kind))
