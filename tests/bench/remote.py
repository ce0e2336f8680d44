"""The servers of the benchmarks, each a process that inherits its socket: the stub and the file server."""

import http.client
import json
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import python, started


@dataclass(frozen=True, slots=True)
class Counters:
    """What a stub was asked: status requests, the first of them, the last request for a result, and the time there.

    Times are in seconds of the monotonic clock, which all processes of a machine share.
    """

    polls: int
    first_poll_at: float | None
    redirect_at: float | None
    now: float


@dataclass(frozen=True, slots=True)
class Stub:
    """A stub that is being served."""

    port: int

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def counters(self) -> Counters:
        """What it was asked so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/counters")
            return Counters(**json.load(connection.getresponse()))
        finally:
            connection.close()


@contextmanager
def stub(folder: Path, cores: Collection[int], result_url: str | None = None) -> Iterator[Stub]:
    """Serve a stub while the block lasts; with ``result_url`` its batches are finished and redirect there."""
    arguments = [] if result_url is None else [result_url]
    with _served("tests.bench.stub", arguments, folder, cores) as port:
        yield Stub(port)


@contextmanager
def landing_stub(folder: Path, cores: Collection[int]) -> Iterator[Stub]:
    """Serve a stub while the block lasts whose batches are pending three times, and then have a small file."""
    with _served("tests.bench.landing_stub", [], folder, cores) as port:
        yield Stub(port)


@contextmanager
def file_server(
    folder: Path, cores: Collection[int], block: Path, times: int, pace: float | None = None
) -> Iterator[str]:
    """Serve a file while the block lasts; gives its address.

    Args:
        folder: for the server's log.
        cores: where it runs.
        block: what the file is made of.
        times: how many times over.
        pace: bytes each second; ``None`` for as fast as it goes.
    """
    arguments = [str(block), str(times), *([] if pace is None else [str(pace)])]
    with _served("tests.bench.file_server", arguments, folder, cores) as port:
        yield f"http://127.0.0.1:{port}/export.json"


@contextmanager
def list_server(folder: Path, cores: Collection[int], files: int, size: int) -> Iterator[str]:
    """Serve remote jobs of so many files of this size while the block lasts; gives the origin."""
    with _served("tests.bench.list_server", [str(files), str(size)], folder, cores) as port:
        yield f"http://127.0.0.1:{port}"


@dataclass(frozen=True, slots=True)
class Record:
    """When requests came to a server with a limit, in monotonic seconds, refused ones included; and the time there."""

    asked_at: Sequence[float]
    refused: int
    now: float


@dataclass(frozen=True, slots=True)
class Limited:
    """A server with a limit that is being served."""

    port: int

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def record(self) -> Record:
        """What it was asked so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/record")
            return Record(**json.load(connection.getresponse()))
        finally:
            connection.close()


@contextmanager
def limited(folder: Path, cores: Collection[int], requests: int, period_s: float) -> Iterator[Limited]:
    """Serve an API that permits so many requests in any such period, while the block lasts."""
    with _served("tests.bench.limited", [str(requests), str(period_s)], folder, cores) as port:
        yield Limited(port)


@contextmanager
def _served(module: str, arguments: list[str], folder: Path, cores: Collection[int]) -> Iterator[int]:
    # The parent listens, so a client that comes before the server is up waits in the backlog instead of failing.
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        command = python(module, str(listener.fileno()), *arguments)
        output = folder / f"{module}.log"
        with started(command, cores=cores, output=output, pass_fds=[listener.fileno()]):
            yield listener.getsockname()[1]
