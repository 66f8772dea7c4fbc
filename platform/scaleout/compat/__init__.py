"""Private parts of libraries that this project needs, one file per library.

No other code may use them. ``tests/scaleout/test_compat.py`` has a test for each, which shows what broke when a library changes.
"""
