"""Backfills with a real configuration and database."""
