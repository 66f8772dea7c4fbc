"""Read ontologies from files."""
