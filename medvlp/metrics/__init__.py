"""Metrics, and the records that they are computed from."""
