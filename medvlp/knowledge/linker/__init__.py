"""Linkers find the concepts that a text mentions."""
