"""Converters from official files to items, one file per public corpus."""
