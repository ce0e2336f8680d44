"""The documentation matches the program."""
