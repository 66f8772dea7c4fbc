"""Worker groups under Ray Train, and the events that stop them."""
