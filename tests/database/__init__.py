"""Tests of the database: one suite, run on SQLite and on a real PostgreSQL."""
