"""The front door: the `innervate` command, the demo and the reports."""
