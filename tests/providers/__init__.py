"""Tests of the providers package. It is pure, so they need only values."""
