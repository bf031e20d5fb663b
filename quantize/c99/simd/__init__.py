"""Steps for hosts with vectors."""
