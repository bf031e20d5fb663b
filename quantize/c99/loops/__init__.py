"""Whether loops end, read off the disassembly."""
