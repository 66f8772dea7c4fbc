"""Checkpoints that count as a whole or not at all."""
