"""Tests of the worker: its parts, and whole daemons against scripted providers."""
