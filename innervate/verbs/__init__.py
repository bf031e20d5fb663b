"""One file a group of verbs. Heavy imports stay inside the functions: `innervate run` must start on a Pi without them."""
