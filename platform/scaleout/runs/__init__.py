"""A run: its configuration, its record, its inputs, and where it starts from."""
