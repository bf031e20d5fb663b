"""Whether a `.tflite` file fits a target, one file a target: the registry is this folder.

A module of a target offers `TARGET`; its name, with hyphens for underscores, is the target's. The other
modules are what targets share.
"""

import importlib
import pkgutil

from edge.errors import InnervateError
from quantize.targets.report import TargetReport
from quantize.targets.target import Target
from quantize.tflite_reader import read_file

__all__ = ["Target", "TargetReport", "check", "find", "targets"]


def targets() -> dict[str, Target]:
    """Return all targets by name, sorted."""
    modules = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "docs")
    loaded = {name: importlib.import_module(f"{__name__}.{name}") for name in modules}
    return {name.replace("_", "-"): m.TARGET for name, m in loaded.items() if hasattr(m, "TARGET")}


def find(name: str) -> Target:
    """Return a target by its name.

    Raises:
        InnervateError: there is none of that name.
    """
    known = targets()
    if name not in known:
        raise InnervateError(f"Unknown target '{name}'", "--target", f"Targets are {', '.join(known)}")
    return known[name]


def check(tflite: bytes, name: str, where: str = "") -> TargetReport:
    """Say of each operator of a `.tflite` file whether it fits a target.

    Args:
        tflite: the file's bytes.
        name: of the target.
        where: the file, for messages.

    Raises:
        InnervateError: the file is damaged, or there is no such target.
    """
    return find(name).check(name, read_file(tflite, where), tflite)
