"""Programs that compute what a hop adds to the window before it."""
