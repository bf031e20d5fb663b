"""Simulated recordings, for those who have none."""
