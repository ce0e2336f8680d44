"""Tests of the emulated servers: real sockets, and a clock that only the test moves."""
