"""A training run: engine, loop, checkpoints, validation, and the group of workers that Ray Train keeps alive."""
