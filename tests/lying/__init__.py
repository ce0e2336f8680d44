"""A server that lies: an origin on raw sockets, the faults that it can show, and a property that holds whatever it does."""
