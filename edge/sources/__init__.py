"""Where counts come from: one file a source."""
