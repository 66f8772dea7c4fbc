"""Checkpoints that are either complete or ignored."""
