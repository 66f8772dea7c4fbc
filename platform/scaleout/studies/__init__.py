"""Studies: many runs with one question."""
