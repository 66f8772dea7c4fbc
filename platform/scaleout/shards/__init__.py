"""WebDataset shards with a manifest: written from any corpus, read as Arrow tables, checked against the manifest."""
