"""What a driver does: launch a run, evaluate, export, report."""
