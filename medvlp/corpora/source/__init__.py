"""Official files: their rows, checked against schemas, and what was read for the fingerprint of a corpus."""
