"""Transport, against real servers on loopback and on virtual time."""
