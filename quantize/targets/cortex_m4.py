"""Cortex-M4: the C that `innervate compile` generates."""

from quantize.targets.generated_c import target

TARGET = target("Cortex-M4", "cortex-m4")
