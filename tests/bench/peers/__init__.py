"""The landed job as the peers do it; each runs in an environment of its own."""
