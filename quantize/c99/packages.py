"""What lets a model's folder be built elsewhere: CMake, Arduino, Zephyr, ESP-IDF, and an example of each.

The formats: Arduino's library specification, rev. 2.2 (without a folder `src`, sources lie flat beside
`library.properties`); Zephyr's modules (`zephyr/module.yml` names the folder of CMakeLists.txt
and the Kconfig file from the root); ESP-IDF's components and their `idf_component.yml`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from quantize.c99.program import Program
from quantize.c99.source import macro_prefix, role
from quantize.c99.states import States

VERSION: Final = "1.0.0"
"""Of every package: the formats demand one; give your own releases their own."""

_CMAKE: Final = """\
# {name}: a library of plain CMake, a Zephyr module or an ESP-IDF component.
cmake_minimum_required(VERSION 3.13)

set(sources
    {sources})

if(ESP_PLATFORM)
    idf_component_register(SRCS ${{sources}} INCLUDE_DIRS .)
    target_compile_options(${{COMPONENT_LIB}} PRIVATE {optimization})
elseif(DEFINED ZEPHYR_BASE)
    if(CONFIG_{prefix})
        zephyr_include_directories(${{CMAKE_CURRENT_SOURCE_DIR}})
        zephyr_library_named({name})
        zephyr_library_sources(${{sources}})
        zephyr_library_compile_options({optimization})
    endif()
else()
    project({name} C)
    add_library({name} STATIC ${{sources}})
    target_include_directories({name} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
    set_target_properties({name} PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    target_compile_options({name} PRIVATE {flags})
    option({prefix}_EXAMPLE "Build the example of {name}" OFF)
    if({prefix}_EXAMPLE)
        add_executable({name}_example examples/plain/main.c)
        target_link_libraries({name}_example PRIVATE {name})
    endif()
endif()
"""

_ARDUINO: Final = """\
name={name}
version={version}
author=unnamed
maintainer=unnamed
sentence=An int8 neural network in plain C, without heap.
paragraph=Generated from {name}.tflite; the first include gives all functions.
category=Data Processing
url=
architectures=*
includes={name}.h
"""

_MODULE: Final = """\
name: {name}
build:
  cmake: .
  kconfig: zephyr/Kconfig
"""

_KCONFIG: Final = """\
config {prefix}
\tbool "{name}: int8 neural network"
\thelp
\t  Build the neural network {name}, generated from {name}.tflite.
"""

_COMPONENT: Final = """\
version: "{version}"
description: "{name}: an int8 neural network in plain C, without heap"
"""

_MAIN: Final = """\
#include <stdio.h>

#include "{name}.h"

static {name}_t model;
{buffers}

{entry}
{{
    {name}_reset(&model);
    /* Fill input here: int8, real = {prefix}_INPUT_SCALE * (value - {prefix}_INPUT_ZERO_POINT). */
    {call};
    for (int i = 0; i < {prefix}_OUTPUT_SIZE; i++) {{
        printf("%d %d\\n", i, output[i]);
    }}{end}
}}
"""

_SKETCH: Final = """\
#include <{name}.h>

static {name}_t model;
{buffers}

void setup()
{{
    Serial.begin(115200);
    {name}_reset(&model);
}}

void loop()
{{
    /* Fill input here: int8, real = {prefix}_INPUT_SCALE * (value - {prefix}_INPUT_ZERO_POINT). */
    {call};
    for (int i = 0; i < {prefix}_OUTPUT_SIZE; i++) {{
        Serial.println(output[i]);
    }}
    delay(1000);
}}
"""

_ZEPHYR_APP: Final = """\
# west build -b BOARD
cmake_minimum_required(VERSION 3.20)
list(APPEND ZEPHYR_EXTRA_MODULES ${{CMAKE_CURRENT_LIST_DIR}}/../..)
find_package(Zephyr REQUIRED HINTS $ENV{{ZEPHYR_BASE}})
project({name}_example C)
target_sources(app PRIVATE main.c)
"""

_ESP_APP: Final = """\
# idf.py set-target CHIP build
cmake_minimum_required(VERSION 3.16)
set(EXTRA_COMPONENT_DIRS ${{CMAKE_CURRENT_LIST_DIR}}/../..)
include($ENV{{IDF_PATH}}/tools/cmake/project.cmake)
project({name}_example)
"""


def write_packages(
    program: Program,
    name: str,
    folder: Path,
    sources: Sequence[str],
    flags: Sequence[str],
    states: States | None,
) -> None:
    """Write everything but the sources themselves.

    Args:
        program: what is compiled.
        name: of the model.
        folder: where header and sources are.
        sources: the files to compile.
        flags: for a plain build; Zephyr and ESP-IDF know the processor themselves and take the optimization.
        states: what `quantize.c99.emitter.states_of` returned.
    """
    words = {
        "name": name,
        "prefix": macro_prefix(name),
        "version": VERSION,
        "sources": "\n    ".join(sources),
        "flags": " ".join(flags),
        "optimization": " ".join(flag for flag in flags if flag.startswith("-O")),
        "buffers": "\n".join(_buffers(program, name, states)),
        "call": _call(program, name, states),
    }
    hosted = {"entry": "int main(void)", "end": "\n    return 0;"}
    files = {
        "CMakeLists.txt": _CMAKE,
        "library.properties": _ARDUINO,
        "zephyr/module.yml": _MODULE,
        "zephyr/Kconfig": _KCONFIG,
        "idf_component.yml": _COMPONENT,
        f"examples/{name}/{name}.ino": _SKETCH,
        "examples/plain/main.c": _MAIN,
        "examples/zephyr/CMakeLists.txt": _ZEPHYR_APP,
        "examples/zephyr/prj.conf": "CONFIG_{prefix}=y\n",
        "examples/zephyr/main.c": _MAIN,
        "examples/esp_idf/CMakeLists.txt": _ESP_APP,
        "examples/esp_idf/main/CMakeLists.txt": "idf_component_register(SRCS main.c)\n",
        "examples/esp_idf/main/main.c": _MAIN,
    }
    for path, text in files.items():
        own = {"entry": "void app_main(void)", "end": ""} if path.startswith("examples/esp_idf") else hosted
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text.format(**words, **own))


def _buffers(program: Program, name: str, states: States | None) -> list[str]:
    """Return definitions of what the caller of the model keeps."""
    prefix = macro_prefix(name)
    if states is None:
        ends = (("input", len(program.model.inputs)), ("output", len(program.model.outputs)))
        pairs = [(role(kind, i), f"{role(kind, i).upper()}_SIZE") for kind, n in ends for i in range(n)]
    else:
        pairs = [("input", "HOP_SIZE"), ("output", "OUTPUT_SIZE")]
        if states.io.context_input is not None:
            at = role("input", states.io.context_input).upper()
            pairs.insert(1, ("context", f"{at}_SIZE"))
    return [f"static int8_t {place}[{prefix}_{size}];" for place, size in pairs]


def _call(program: Program, name: str, states: States | None) -> str:
    """Return the call of the model, of one step where it keeps states."""
    places = [line.split()[2].partition("[")[0] for line in _buffers(program, name, states)]
    return f"{name}_{'run' if states is None else 'push'}(&model, {', '.join(places)})"
