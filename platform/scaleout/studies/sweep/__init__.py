"""Searching the weights of the pretext objectives: Ray Tune over ordinary runs."""
