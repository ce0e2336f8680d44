"""A provider that counts submits by their marker and notes when requests come; and a watch over the landed files."""

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from tidewaiter.clock import SystemClock

SPEC = """
[account.daemon]
default = "the only one"
help = "which daemon asks"
[operations.report.params]
marker = { help = "names the job at the provider" }
[operations.report.submit]
url = "/jobs"
headers = { Daemon = "${account.daemon}" }
json = { marker = "${params.marker}" }
handle = "id"
[operations.report.poll]
url = "/jobs/${handle}"
headers = { Daemon = "${account.daemon}" }
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.report.results]
url = "/jobs/${handle}/file"
"""
_PIECES = 40
_PIECE = 5_000
_POLLS = 2


def content(marker: str) -> bytes:
    """The file of a job, another one for each marker."""
    return hashlib.sha256(marker.encode()).hexdigest().encode() * (_PIECES * _PIECE // 64)


@dataclass(slots=True)
class MarkedProvider:
    """The server of one account.

    ``posts`` counts submits by marker, ``requests`` are the seconds of all requests, and ``senders`` the daemons of all
    but the downloads, with their seconds. A download takes ``piece_s`` for each of its forty pieces; the
    reply to a poll has ``pad`` bytes that nobody needs.
    """

    posts: Counter[str] = field(default_factory=Counter)
    polls: Counter[str] = field(default_factory=Counter)
    requests: list[float] = field(default_factory=list)
    senders: list[tuple[float, str]] = field(default_factory=list)
    piece_s: float = 0.01
    pad: int = 0
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Note the request and answer; a submit counts before its slow reply."""
        self.requests.append(SystemClock().monotonic())
        self.senders += [(self.requests[-1], name) for name in request.headers.getall("Daemon", [])]
        if request.method == "POST":
            marker = str(json.loads(await request.read())["marker"])
            self.posts[marker] += 1
            await asyncio.sleep(0.1)
            return web.json_response({"id": marker}, status=201)
        marker = request.path.split("/")[2]
        if not request.path.endswith("/file"):
            self.polls[marker] += 1
            state = "done" if self.polls[marker] >= _POLLS else "working"
            return web.json_response({"state": state, "pad": "x" * self.pad})
        data = content(marker)
        reply = web.StreamResponse(headers={"Content-Length": str(len(data)), "Content-Type": "text/csv"})
        await reply.prepare(request)
        for start in range(0, len(data), _PIECE):
            await reply.write(data[start : start + _PIECE])
            await asyncio.sleep(self.piece_s)
        return reply

    def most_within(self, period_s: float) -> int:
        """The most requests in any period of this length."""
        most = first = 0
        for last, at in enumerate(self.requests):
            while at - self.requests[first] >= period_s:
                first += 1
            most = max(most, last - first + 1)
        return most


@asynccontextmanager
async def marked_provider() -> AsyncIterator[MarkedProvider]:
    """A provider on a port of its own."""
    provider = MarkedProvider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        provider.url = str(server.make_url("")).rstrip("/")
        yield provider


@dataclass(slots=True)
class FileWatch:
    """Looks at every file that becomes visible: it must be whole at the first sight. ``torn`` are the others."""

    root: Path
    whole: set[str]
    seen: set[Path] = field(default_factory=set)
    torn: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(0.02)

    def look(self) -> None:
        """Look once."""
        for folder, below, names in os.walk(self.root):
            below[:] = [name for name in below if name != ".partial"]
            for path in (Path(folder, name) for name in names):
                if path not in self.seen:
                    self.seen.add(path)
                    with suppress(FileNotFoundError):
                        self._check(path)

    def _check(self, path: Path) -> None:
        data = path.read_bytes()
        if path.name == "manifest.json":
            try:
                json.loads(data)
            except ValueError:
                self.torn.append(f"{path}: {data[-80:]!r}")
        elif hashlib.sha256(data).hexdigest() not in self.whole:
            self.torn.append(f"{path} with {len(data)} bytes")


def partial_files(root: Path) -> list[Path]:
    """What is left of unfinished downloads."""
    return [path for path in (root / ".partial").rglob("*") if path.is_file()]
