"""Private parts of libraries that this project cannot do without, one file for each library.

Nothing else may use them. ``tests/scaleout/test_compat.py`` has a test for each, which says what broke when a library changes.
"""
