"""Tells a service manager such as systemd how the daemon is: started, its state in words, alive, stopping.

The protocol is one datagram for each message, to the Unix socket that ``NOTIFY_SOCKET`` names (sd_notify(3)). Where the
variable is not set, nothing is told.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DaemonReading
from tidewaiter.web.health_routes import Phase, ProcessStatus

_LOOK_EVERY_S: Final = 1.0
_SIGNS_PER_LIMIT: Final = 3  # how often a sign of life is sent within the time that the manager allows


class ServiceManager:
    """The service manager's socket.

    Args:
        address: a path, or ``@`` and the name of an abstract socket.
        limit_s: a sign of life must come this often; ``None`` if the manager does not watch.
    """

    def __init__(self, address: str, limit_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.limit_s = limit_s

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "ServiceManager | None":
        """The one that the environment names, if any; a watchdog of another process is none of ours."""
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        limit = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit_s = int(limit) / 1e6 if is_ours and limit.isascii() and limit.isdigit() else 0.0
        return cls(address, limit_s or None)

    def tell(self, *lines: str) -> bool:
        """Send a message without waiting; returns whether it was sent. Where nobody listens, nothing is lost."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), self._address)
            return True
        return False


class ServiceReports:
    """Reports the state of the daemon for as long as it runs.

    The signs of life stop when a part of the daemon is stuck: an event loop that stands still sends none anyhow.

    Args:
        manager: who is told.
        status: the phase of the process.
        metrics: read the state of the daemon's parts.
        stop: set once the process was asked to end.
        clock: the time between two looks.
    """

    def __init__(
        self,
        manager: ServiceManager,
        status: ProcessStatus,
        metrics: Metrics,
        stop: asyncio.Event,
        clock: Clock,
    ) -> None:
        self._manager = manager
        self._status = status
        self._metrics = metrics
        self._stop = stop
        self._clock = clock
        self._told = ""
        self._is_ready = self._has_ended = False
        self._alive_at = -1.0
        limit_s = manager.limit_s or _SIGNS_PER_LIMIT * _LOOK_EVERY_S
        self._sign_every_s = limit_s / _SIGNS_PER_LIMIT

    async def run(self) -> None:
        """Report until cancelled."""
        pause_s = min(_LOOK_EVERY_S, self._sign_every_s)
        while not self._stop.is_set():
            self._report()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()
        self.end()
        while True:  # draining may take longer than the manager waits for a sign of life
            self._report()
            await self._clock.sleep(pause_s)

    def end(self) -> None:
        """Tell, once, that the process ends."""
        if not self._has_ended:
            self._has_ended = self._manager.tell("STOPPING=1")

    def _report(self) -> None:
        phase, daemon = self._status.phase, self._metrics.daemon()
        if not self._is_ready and (phase is Phase.STANDBY or (phase is Phase.SERVING and daemon.in_touch)):
            self._is_ready = self._manager.tell("READY=1")
        words = _words(phase, daemon)
        if words != self._told and self._manager.tell(f"STATUS={words}"):
            self._told = words
        now = self._clock.monotonic()
        if self._manager.limit_s is not None and not daemon.stalled and now - self._alive_at >= self._sign_every_s:
            self._manager.tell("WATCHDOG=1")
            self._alive_at = now


@asynccontextmanager
async def reporting(
    environ: Mapping[str, str],
    status: ProcessStatus,
    metrics: Metrics,
    stop: asyncio.Event,
    clock: Clock,
) -> AsyncIterator[None]:
    """Report to the service manager that the environment names, if any, while the block runs."""
    manager = ServiceManager.of(environ)
    if manager is None:
        yield
        return
    reports = ServiceReports(manager, status, metrics, stop, clock)
    task = asyncio.create_task(reports.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        reports.end()


def _words(phase: Phase, daemon: DaemonReading) -> str:
    """The state in one sentence, as ``systemctl status`` shows it."""
    match phase:
        case Phase.STARTING:
            return "Starting"
        case Phase.STANDBY:
            return "Standing by: another daemon uses the database"
        case Phase.DRAINING:
            return "Draining: running steps end"
        case Phase.SERVING if daemon.stalled:
            return "Stuck: a part of the daemon does not run"
        case Phase.SERVING if not daemon.in_touch:
            return "Waiting for the database: the leases of the lanes could not be taken or renewed"
        case Phase.SERVING:
            waits = "" if daemon.storage_open else "; the storage accepts no files, and downloads wait"
            return f"Serving {len(daemon.lanes)} lane{'s' * (len(daemon.lanes) != 1)}{waits}"
