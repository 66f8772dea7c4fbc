"""The machinery: many workers, many shards, runs that survive."""
