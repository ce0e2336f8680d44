"""The recorded exchanges of a spec, replayed without a network."""
