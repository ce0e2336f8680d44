"""Credentials, logins, signatures."""
