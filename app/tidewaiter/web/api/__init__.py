"""The HTTP API: every room brings its routes, each of which says what it takes and what it answers."""
