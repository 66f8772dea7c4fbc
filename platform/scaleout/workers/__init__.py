"""The groups of workers under Ray Train, and what may stop them."""
