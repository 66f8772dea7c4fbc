"""From shards to typed batches: the plan of samples, its rows, Ray Data, and the batches of a worker."""
