"""Ontologies, the concepts that texts mention, and the knowledge bundle."""
