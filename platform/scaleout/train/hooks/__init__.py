"""Hooks that watch the loop: samples, non-finite gradients, spikes, hangs."""
