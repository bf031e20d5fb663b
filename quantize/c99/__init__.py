"""From an int8 `.tflite` file to plain C99. Needs no torch."""

from quantize.c99.emitter import emit
from quantize.c99.report import Report
from quantize.c99.shared import build_shared

__all__ = ["Report", "build_shared", "emit"]
