"""Real daemons in real processes, killed at moments that nobody chose."""
