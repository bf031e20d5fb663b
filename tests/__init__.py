"""Tests of the host side; helpers that several test files share are modules of this package."""
