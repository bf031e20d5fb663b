"""Steps for Helium."""
