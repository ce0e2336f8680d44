"""Benchmarks of the real daemon beside bare clients on one machine (``make bench``); no unit test times anything."""
