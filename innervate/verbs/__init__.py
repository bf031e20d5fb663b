"""One file a group of verbs. Heavy imports stay in the functions: `innervate run` must start on a Pi."""
