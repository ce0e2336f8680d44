"""How this process stands: what the daemon beside the HTTP listener is doing."""

import asyncio
from enum import StrEnum


class Phase(StrEnum):
    """What the process does."""

    STARTING = "starting"
    """Nothing is served yet."""
    STANDBY = "standby"
    """Another daemon holds the database; this one takes over when that ends."""
    SERVING = "serving"
    """Lanes are served."""
    DRAINING = "draining"
    """The process was asked to end; steps under way come to theirs."""


class Vitals:
    """Written by whoever runs the daemon, read by whoever is asked how it is.

    Args:
        stop: set once the process was asked to end.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._phase = Phase.STARTING

    @property
    def phase(self) -> Phase:
        """What the process does."""
        return Phase.DRAINING if self._stop.is_set() else self._phase

    def enter(self, phase: Phase) -> None:
        """The process does something else from now on."""
        self._phase = phase
