"""Tests of the worker's parts that need no whole daemon."""
