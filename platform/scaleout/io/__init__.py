"""Storage, retries, manifests, and jobs that can be resumed."""
