"""Ontologies from files."""
