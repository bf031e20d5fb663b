"""Operators to steps of the portable kernels."""
