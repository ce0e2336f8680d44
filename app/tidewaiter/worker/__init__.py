"""The daemon: lanes, steps, the recorder, leases and the chores beside them."""
