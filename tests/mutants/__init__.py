"""Mutants: one promise each, taken out of a copy of the sources; a test that should know must fail."""
