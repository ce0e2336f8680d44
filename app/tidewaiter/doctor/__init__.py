"""Checks that try what a configuration names, and say for each thing whether it works and how to repair it."""
