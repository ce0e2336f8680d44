"""Requests built from templates."""
