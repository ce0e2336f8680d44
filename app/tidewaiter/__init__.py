"""Tidewaiter submits slow remote exports, waits for them and lands their files, whole and checksummed."""

__version__ = "0.1.0"
