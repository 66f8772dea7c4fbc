"""Metrics, and the records from which they are computed."""
