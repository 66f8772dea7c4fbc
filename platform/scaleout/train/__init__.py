"""One worker's training: the loop and what hooks into it."""
