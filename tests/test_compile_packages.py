"""The folder of a model as a library of CMake, of Arduino, as a Zephyr module and an ESP-IDF component."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.engines.native import NativeEngine
from quantize.c99 import build_shared, emit
from tests.random_graphs import random_graph
from tests.stateful_models import step_file
from tests.test_compile_emit import two_inputs_two_outputs

needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")


MODELS = {"graph": random_graph(5), "two": two_inputs_two_outputs(), "state": step_file(context=2)}


def cmake(source: Path, build: Path, *options: str) -> None:
    for command in (
        ["cmake", "-S", str(source), "-B", str(build), *options],
        ["cmake", "--build", str(build)],
    ):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


def properties(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


@needs_cmake
@pytest.mark.parametrize("model", MODELS)
def test_plain_example_runs(model: str, tmp_path: Path) -> None:
    emit(MODELS[model], "net", tmp_path / "net")
    cmake(tmp_path / "net", tmp_path / "b", "-DNET_EXAMPLE=ON")
    printed = subprocess.run([tmp_path / "b" / "net_example"], capture_output=True, text=True, check=True)
    scores = [int(line.split()[1]) for line in printed.stdout.splitlines()]
    if model == "graph":
        engine = NativeEngine(build_shared(MODELS[model]))
        assert scores == engine.run(np.zeros(int(np.prod(engine.input_shape)), np.int8)).tolist()
    else:
        assert scores


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
@pytest.mark.parametrize("model", MODELS)
def test_arduino_sketch_compiles(model: str, tmp_path: Path) -> None:
    """The IDE adds Arduino.h to a sketch and compiles it as C++."""
    library = tmp_path / "net"
    emit(MODELS[model], "net", library)
    (tmp_path / "Arduino.h").write_text(
        "struct Stub { void begin(long) {} void println(int) {} };\n"
        "extern Stub Serial;\nvoid delay(unsigned long);\n"
    )
    sketch = library / "examples" / "net" / "net.ino"
    command = ["g++", "-std=c++17", *WARNINGS, "-x", "c++", f"-I{library}", f"-I{tmp_path}"]
    subprocess.run([*command, "-include", "Arduino.h", "-fsyntax-only", str(sketch)], check=True)


def test_arduino_library(tmp_path: Path) -> None:
    """What the library specification demands of a flat library."""
    emit(MODELS["graph"], "net", tmp_path / "net")
    written = properties(tmp_path / "net" / "library.properties")
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url"}
    assert required | {"architectures", "includes"} <= written.keys()
    assert (tmp_path / "net" / written["includes"]).is_file()
    # With a folder src the IDE would look for sources there alone.
    assert not (tmp_path / "net" / "src").exists()


@needs_cmake
def test_zephyr_module(tmp_path: Path) -> None:
    """Zephyr's own functions, reduced to what they do with CMake's."""
    emit(MODELS["graph"], "net", tmp_path / "net", "cortex-m4")
    module = (tmp_path / "net" / "zephyr" / "module.yml").read_text()
    assert "  cmake: .\n  kconfig: zephyr/Kconfig\n" in module
    assert "config NET\n\tbool" in (tmp_path / "net" / "zephyr" / "Kconfig").read_text()
    assert (tmp_path / "net" / "examples" / "zephyr" / "prj.conf").read_text() == "CONFIG_NET=y\n"
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(app C)\nset(ZEPHYR_BASE /zephyr)\n"
        "macro(zephyr_library_named name)\n  set(ZEPHYR_CURRENT_LIBRARY ${name})\n"
        "  add_library(${name} STATIC)\nendmacro()\n"
        "macro(zephyr_library_sources)\n"
        "  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})\nendmacro()\n"
        "macro(zephyr_library_compile_options)\n"
        "  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})\nendmacro()\n"
        "macro(zephyr_include_directories)\n  include_directories(${ARGN})\nendmacro()\n"
        "add_subdirectory(net off)\nif(TARGET net)\n  message(FATAL_ERROR built)\nendif()\n"
        "set(CONFIG_NET y)\nadd_subdirectory(net on)\n"
        "add_executable(app net/examples/zephyr/main.c)\n"
        "target_include_directories(app PRIVATE net)\ntarget_link_libraries(app PRIVATE net)\n"
    )
    cmake(tmp_path, tmp_path / "b")
    assert (tmp_path / "b" / "app").is_file()


@needs_cmake
def test_esp_idf_component(tmp_path: Path) -> None:
    """ESP-IDF's own function, reduced to what it does with CMake's."""
    emit(MODELS["graph"], "net", tmp_path / "net", "cortex-m4")
    assert 'version: "1.0.0"\n' in (tmp_path / "net" / "idf_component.yml").read_text()
    (tmp_path / "start.c").write_text("void app_main(void);\nint main(void) { app_main(); return 0; }\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(app C)\nset(ESP_PLATFORM 1)\n"
        "macro(idf_component_register)\n"
        '  cmake_parse_arguments(own "" "" "SRCS;INCLUDE_DIRS" ${ARGN})\n'
        "  get_filename_component(COMPONENT_LIB ${CMAKE_CURRENT_LIST_DIR} NAME)\n"
        "  add_library(${COMPONENT_LIB} STATIC ${own_SRCS})\n"
        "  target_include_directories(${COMPONENT_LIB} PUBLIC ${own_INCLUDE_DIRS})\nendmacro()\n"
        "add_subdirectory(net)\nadd_subdirectory(net/examples/esp_idf/main)\n"
        "target_link_libraries(main PUBLIC net)\n"
        "add_executable(app start.c)\ntarget_link_libraries(app PRIVATE main)\n"
    )
    cmake(tmp_path, tmp_path / "b")
    assert (tmp_path / "b" / "app").is_file()
