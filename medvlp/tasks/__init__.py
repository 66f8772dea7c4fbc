"""What is trained: one folder for each task family, behind one protocol."""
