"""The members of the kernels' parameter structures, in their order, read from the headers.

Generated sources initialize structures by position: designated initializers are not C++ before C++20.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRUCTURE: Final = re.compile(r"typedef struct \{([^{}]*)\} (\w+);")
_MEMBER: Final = re.compile(r"\s*(?:const )?(\w+) ([^;]+);")


@functools.cache
def structures(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Return, by structure, the types of its members by their names, in order.

    Args:
        folder: of headers; structures are written `typedef struct {...} NAME;` without others defined inside.

    The type of a pointer ends in `*`, that of an array in `[]`.
    """
    found: dict[str, dict[str, str]] = {}
    for file in sorted(folder.glob("*.h")):
        for body, name in _STRUCTURE.findall(_COMMENT.sub("", file.read_text("utf-8"))):
            members: dict[str, str] = {}
            for kind, names in _MEMBER.findall(body):
                for member in names.split(","):
                    plain, array, _ = member.strip().partition("[")
                    members[plain.lstrip("* ")] = kind + "*" * plain.count("*") + ("[]" if array else "")
            found[name] = members
    return found
