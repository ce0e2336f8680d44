"""Requests, built from the templates of a spec."""
