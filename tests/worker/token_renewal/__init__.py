"""Renewals with refresh tokens that the server replaces."""
