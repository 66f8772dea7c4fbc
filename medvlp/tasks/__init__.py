"""Tasks to train: one folder per task family, behind one protocol."""
