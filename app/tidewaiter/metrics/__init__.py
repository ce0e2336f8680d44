"""Metrics for Prometheus: a catalogue of what is measured, the places where it is counted, and one registry."""
