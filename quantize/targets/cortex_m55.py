"""Cortex-M55: the C that `innervate compile` generates."""

from quantize.targets.generated_c import target

TARGET = target("Cortex-M55", "cortex-m55")
