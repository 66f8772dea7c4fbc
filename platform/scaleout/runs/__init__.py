"""A run: its configuration, record, inputs and starting point."""
