"""A server that lies: an origin on raw sockets, its faults, and a property that holds whatever it does."""
