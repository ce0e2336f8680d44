"""Logins of the authenticated client, at a real server."""
