"""Sidecar links: which concepts stand where in which text, one Parquet file beside each shard, never inside it."""
