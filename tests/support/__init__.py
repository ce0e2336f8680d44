"""What the suites share: databases, stores, servers, clocks and loops of virtual time. Nothing here is a test."""
