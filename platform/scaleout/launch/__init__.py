"""The work of a driver: launch a run, evaluate, export, report."""
