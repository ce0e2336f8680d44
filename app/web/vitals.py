"""The status of this process: what the daemon beside the HTTP listener does."""

import asyncio
from enum import StrEnum


class Phase(StrEnum):
    """What the process does, in one word."""

    STARTING = "starting"
    """Nothing is served yet."""
    STANDBY = "standby"
    """Another daemon holds the database; this one takes over when the other ends."""
    SERVING = "serving"
    """Lanes are served."""
    DRAINING = "draining"
    """The process was asked to end; steps that run are finished."""


class Vitals:
    """The phase of the process: written by the daemon, read by health checks and pages.

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
        """Note that the process begins another phase."""
        self._phase = phase
