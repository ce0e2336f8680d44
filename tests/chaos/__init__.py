"""Real daemons in real processes, killed at random moments."""
