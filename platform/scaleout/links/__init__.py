"""Sidecar links: the positions of concepts in the texts, one Parquet file per shard, never inside the shard."""
