"""Checks of the source as a whole that the import contracts cannot express."""
