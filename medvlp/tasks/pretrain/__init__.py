"""Pre-training: the four pretext objectives of ARL."""
