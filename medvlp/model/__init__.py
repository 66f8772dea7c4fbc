"""ARL: encoders, knowledge graph and fusion."""
