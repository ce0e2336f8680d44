"""A daemon's power is cut after every single effect of a run, and the next daemon goes on with what was left."""
