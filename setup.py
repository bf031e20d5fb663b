"""Builds the C core's Python binding; everything else is in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["edge/core/build_binding.py:ffibuilder"])
