"""Steps for Arm's DSP extension."""
