"""Benchmarks of the daemon against bare clients on one machine (``make bench``). No unit test measures time."""
