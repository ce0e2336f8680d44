"""The recorded exchanges of a spec."""
