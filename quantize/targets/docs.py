"""Prints docs/targets.md: `python -m quantize.targets.docs > docs/targets.md`."""

import textwrap

from quantize.targets import targets
from quantize.targets.target import Target

_WIDTH = 120
_HEAD = """
# Targets

<!-- Written by `python -m quantize.targets.docs > docs/targets.md`; change quantize/targets/ instead. -->

    innervate inspect model.tflite --target edgetpu
    innervate inspect out/s03.nrv --target cortex-m4 --json

The table says of each operator whether it fits, on what it would run, why not and what to change; then come
notes and the verdict. Exit status 0: the file fits. 1: it does not. 2: it cannot be read, or there is no
such target. Files of any converter can be given, whatever their operators, types and number of graphs. A
damaged file is refused with a sentence.

A target is one file in `quantize/targets/`; a rule is a function there, and its docstring the sentence
shown here and to the user.
"""


def _wrapped(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _section(name: str, target: Target) -> list[str]:
    lines = ["", f"## {name}", "", *_wrapped(f"{target.title}. {target.about}"), "", "Rules:", ""]
    for sentence in (*(r.sentence for r in target.file_rules), *(r.sentence for r in target.rules)):
        lines += _wrapped(sentence, "- ")
    lines += ["", *_wrapped(f"Operators: {', '.join(target.operators)}."), "", "Sources:", ""]
    for source in target.sources:
        lines += _wrapped(source, "- ")
    return lines


def page() -> str:
    """Return the text of docs/targets.md."""
    lines = _HEAD.strip().splitlines()
    for name, target in targets().items():
        lines += _section(name, target)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
