"""The training of one worker: the loop and its hooks."""
