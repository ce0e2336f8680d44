"""The test suite: it mirrors `app/` and runs real parts."""
