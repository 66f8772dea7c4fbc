"""Corpora: official files, any folder or table, and phantoms, as items that become samples."""
