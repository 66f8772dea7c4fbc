"""Model folders, and imported weights."""
