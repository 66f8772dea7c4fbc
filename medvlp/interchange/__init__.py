"""Models as folders, and weights that others trained."""
