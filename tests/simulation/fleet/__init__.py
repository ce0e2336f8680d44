"""Several daemons on one database, with clocks of their own, for a simulated hour that a seed decides."""
