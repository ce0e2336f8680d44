"""Tests of the listeners, over real sockets."""
