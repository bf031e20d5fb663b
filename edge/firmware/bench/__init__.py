"""Runs generated C on emulated microcontrollers and counts its instructions."""
