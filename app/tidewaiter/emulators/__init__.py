"""Emulated remote APIs: real servers on the loopback interface, faithful, and faulty on request."""
