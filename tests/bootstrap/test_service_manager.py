"""What systemd is told, read from a real datagram socket: ready, the state in words, alive, stopping."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.daemon_in_process import DaemonSetup
from tidewaiter.bootstrap.service_manager import ServiceManager, reporting
from tidewaiter.clock import SystemClock
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DaemonReading
from tidewaiter.web.health_routes import Phase, ProcessStatus

FULL = "the storage accepts no files, and downloads wait"
OUT_OF_TOUCH = "the leases of the lanes could not be taken or renewed"


@dataclass(slots=True)
class Manager:
    """The side of the service manager."""

    listening: socket.socket
    address: str
    heard: list[str] = field(default_factory=list)

    def environ(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, **more}

    def hear(self) -> list[str]:
        """Every line so far."""
        with suppress(BlockingIOError):
            while True:
                self.heard += self.listening.recv(4096).decode().splitlines()
        return self.heard

    async def hears(self, line: str, times: int = 1) -> None:
        """Wait for a line."""
        async with asyncio.timeout(10):
            while self.hear().count(line) < times:  # noqa: ASYNC110  # another socket than asyncio's
                await asyncio.sleep(0.005)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """A socket at a path, and one in the abstract name space."""
    name = f"tidewaiter-test-{os.getpid()}"
    address = str(tmp_path / "notify") if request.param == "path" else f"@{name}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(address if request.param == "path" else f"\0{name}")
        listening.setblocking(False)
        yield Manager(listening, address)


@pytest.mark.slow
async def test_the_life_of_a_daemon(setup: DaemonSetup, manager: Manager) -> None:
    """It is ready once it has its leases, gives signs of life while it drains too, and says that it stops."""
    setup.environ = manager.environ(WATCHDOG_USEC="60000", WATCHDOG_PID=str(os.getpid()))
    setup.write(setup.account("shop"))
    async with setup.serving():
        await manager.hears("READY=1")
        await manager.hears("STATUS=Serving 1 lane")
        await manager.hears("WATCHDOG=1", 3)
        assert "STOPPING=1" not in manager.heard
    assert setup.code == 0
    heard = manager.hear()
    assert [heard.count(line) for line in ("READY=1", "STOPPING=1")] == [1, 1]
    assert heard.index("READY=1") < heard.index("STATUS=Serving 1 lane") < heard.index("STOPPING=1")
    assert "STATUS=Draining: running steps end" in heard


@pytest.mark.slow
async def test_a_standby_is_ready(setup: DaemonSetup, manager: Manager) -> None:
    """A start must not wait until another daemon ends."""
    setup.environ = manager.environ()
    setup.write(setup.account("shop"))
    lock = DaemonLock.of(setup.database_url)
    assert lock is not None
    assert lock.try_acquire()
    async with setup.serving(until="daemon.waited"):
        await manager.hears("READY=1")
        await manager.hears("STATUS=Standing by: another daemon uses the database")
        assert not any(line.startswith("WATCHDOG") for line in manager.heard)
        lock.release()
        await manager.hears("STATUS=Serving 1 lane")


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    ("daemon", "words"),
    [
        (DaemonReading(in_touch=True), "Serving 0 lanes"),
        (
            DaemonReading(in_touch=True, storage_open=False),
            "Serving 0 lanes; the storage accepts no files, and downloads wait",
        ),
        (
            DaemonReading(in_touch=False),
            "Waiting for the database: the leases of the lanes could not be taken or renewed",
        ),
        (DaemonReading(in_touch=True, stalled=True), "Stuck: a part of the daemon does not run"),
    ],
)
async def test_what_it_says(manager: Manager, daemon: DaemonReading, words: str) -> None:
    """It is not ready before it has its leases, and gives no sign of life when a part is stuck."""
    stop, metrics = asyncio.Event(), Metrics()
    metrics.serve({}, lambda: daemon)
    status = ProcessStatus(stop)
    status.enter(Phase.SERVING)
    environ = manager.environ(WATCHDOG_USEC="30000")
    async with reporting(environ, status, metrics, stop, SystemClock()):
        await manager.hears(f"STATUS={words}")
        assert ("READY=1" in manager.heard) is daemon.in_touch
        assert ("WATCHDOG=1" in manager.heard) is not daemon.stalled
        metrics.serve({}, lambda: DaemonReading(in_touch=True))
        await manager.hears("READY=1")
        await manager.hears("WATCHDOG=1")
    await manager.hears("STOPPING=1")


@pytest.mark.parametrize(
    ("environ", "limit_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_who_is_watched(environ: dict[str, str], limit_s: float | None) -> None:
    """A watchdog that is meant for another process, or for none, is left alone."""
    manager = ServiceManager.of({"NOTIFY_SOCKET": "/run/notify", **environ})
    assert manager is not None
    assert manager.limit_s == limit_s


async def test_nobody_listens(tmp_path: Path) -> None:
    """A manager that is gone costs nothing; without its variable nothing is sent at all."""
    for address in ("", "vsock:2:1234", "relative"):
        assert ServiceManager.of({"NOTIFY_SOCKET": address}) is None
    gone = ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert gone is not None
    assert not gone.tell("READY=1")
    stop = asyncio.Event()
    async with reporting(
        {"NOTIFY_SOCKET": str(tmp_path / "gone")}, ProcessStatus(stop), Metrics(), stop, SystemClock()
    ):
        await asyncio.sleep(0)
