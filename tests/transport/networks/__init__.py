"""Permitted networks, end to end."""
