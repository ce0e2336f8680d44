"""Tests of the configuration: loading, showing, and its documentation."""
