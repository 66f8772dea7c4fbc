"""Search the weights of the pretext objectives with Ray Tune over ordinary runs."""
