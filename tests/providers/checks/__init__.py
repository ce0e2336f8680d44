"""Faults of a spec that lint finds."""
