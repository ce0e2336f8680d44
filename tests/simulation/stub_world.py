"""A world for a spec of the test: a daemon in virtual time, and a provider that is one function."""

import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import TypeAlias, TypeVar

from tests.support.inline_sqlite import InlineProcess
from tests.support.log_lines import log_lines
from tests.support.scratch import patience, scratch
from tests.support.virtual_time import virtual_time
from tidewaiter import bootstrap
from tidewaiter.clock import Clock
from tidewaiter.config import Config
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.log import configure
from tidewaiter.services import DAEMON, AccountService, JobService
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.wire import BrokenBodyError, Timeouts

T = TypeVar("T")

ORIGIN = "http://127.0.0.1:9"
ACCOUNT = "shop"
_ENDS = TERMINAL | {State.PARKED}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it reached the provider, in epoch seconds."""

    at: float
    request: WireRequest

    @property
    def path(self) -> str:
        """Method and path, with the query."""
        return f"{self.request.method} {self.request.url.removeprefix(ORIGIN)}"

    @property
    def json(self) -> object:
        """The body."""
        return json.loads(self.request.body or b"null")


@dataclass(frozen=True, slots=True)
class ReplyData:
    """A reply; a body that is no bytes is written as JSON.

    After ``breaks_after`` of its bytes the connection is lost.
    """

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks_after: int | None = None


Answer: TypeAlias = Callable[[Sent], ReplyData]


class StubReply:
    """A reply as the transport hands it on."""

    def __init__(self, data: ReplyData, url: str, now: float) -> None:
        self.status = data.status
        self.phrase = ""
        self.url = url
        self._body = data.body if isinstance(data.body, bytes) else json.dumps(data.body).encode()
        self._breaks_after = data.breaks_after
        given = {name.lower(): value for name, value in data.headers.items()}
        self.headers: Mapping[str, str] = {
            "date": formatdate(now, usegmt=True),
            "content-length": str(len(self._body)),
            **given,
        }

    async def read(self, limit: int) -> tuple[bytes, bool]:
        """The body up to ``limit`` bytes, and whether there was more."""
        return self._body[:limit], len(self._body) > limit

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in one piece, or as much of it as comes."""
        yield self._body[: self._breaks_after]
        if self._breaks_after is not None:
            raise BrokenBodyError("the connection was lost in the middle of the body")


class StubWire:
    """Hands every request to one function, half the latency before and half after it."""

    def __init__(self, answer: Answer, clock: Clock, latency_s: float = 0.02) -> None:
        self.answer = answer
        self.sent: list[Sent] = []
        self.latency_s = latency_s
        self._clock = clock

    @asynccontextmanager
    async def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AsyncIterator[StubReply]:
        """One request, one hop."""
        assert private_ok, "the stub stands on loopback"
        await self._clock.sleep(self.latency_s / 2)
        sent = Sent(self._clock.now(), request)
        self.sent.append(sent)
        data = self.answer(sent)
        await self._clock.sleep(self.latency_s / 2)
        yield StubReply(data, request.url, self._clock.now())


@dataclass(slots=True)
class StubWorld:
    """What a story can lay its hands on while the daemon runs."""

    service: JobService
    accounts: AccountService
    clock: Clock
    wire: StubWire
    root: Path
    output: io.StringIO
    _again: Callable[[float], Awaitable[None]]
    _cut: Callable[[float], Awaitable[None]]

    async def restart(self, after_s: float = 0.0) -> None:
        """Drain the daemon, and start another after so long."""
        await self._again(after_s)

    async def cut(self, after_s: float = 0.0) -> None:
        """Cut the daemon's power, and start another after so long."""
        await self._cut(after_s)

    async def submit(self, params: Mapping[str, object] | None = None, operation: str = "report") -> Job:
        """Ask for a job."""
        job, _ = await self.service.submit(ACCOUNT, operation, params or {}, actor=DAEMON)  # type: ignore[arg-type]  # is JSON
        return job

    async def ended(self, job: Job, within_s: float = 86_400.0) -> Job:
        """The job when it has come to its end."""
        begun = self.clock.monotonic()
        while (found := await self.job(job)).state not in _ENDS and self.clock.monotonic() < begun + within_s:
            await self.clock.sleep(patience(self.clock.monotonic() - begun))
        return found

    async def job(self, job: Job) -> Job:
        """The job as it stands."""
        found = await self.service.jobs.get(job.id)
        assert found is not None
        return found

    async def file_of(self, job: Job) -> bytes:
        """The only file of a job."""
        (artifact,) = await self.service.jobs.artifacts(job.id)
        return (self.root / "exports" / artifact.key).read_bytes()

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return log_lines(self.output, name)

    def paths(self) -> list[str]:
        """What the provider was asked, in order."""
        return [sent.path for sent in self.wire.sent]


def in_stub_world(
    template: Path,
    spec: str,
    answer: Answer,
    story: Callable[[StubWorld], Awaitable[T]],
    *,
    lookout_s: float = 5.0,
    **account: object,
) -> T:
    """Run a daemon in virtual time while a story is told.

    Args:
        template: a migrated, empty SQLite file.
        spec: the text of a provider named ``demo``, whose setting ``server`` is its address.
        answer: the provider.
        story: what happens.
        lookout_s: how often the daemon looks for what people have decided; in days, most of its work.
        account: more of the account's table in the configuration.
    """
    with virtual_time() as (loop, clock), scratch("stub") as root:
        shutil.copyfile(template, root / "tidewaiter.db")
        (root / "specs").mkdir()
        (root / "specs" / "demo.toml").write_text(spec)
        return loop.run_until_complete(
            _live(root, StubWire(answer, clock), clock, story, _config(root, account, lookout_s))
        )


async def _live(
    root: Path, wire: StubWire, clock: Clock, story: Callable[[StubWorld], Awaitable[T]], config: Config
) -> T:
    output = io.StringIO()
    log = configure("json", "info", [], clock=clock, stream=output, strict=True)
    accounts = bootstrap.bind_accounts(config)
    database = InlineProcess(root / "tidewaiter.db").database(clock)
    lives: list[asyncio.Task[None]] = []
    processes: list[InlineProcess] = []

    async def daemon() -> None:
        processes.append(process := InlineProcess(root / "tidewaiter.db"))
        own = process.database(clock)
        seams = bootstrap.Seams(clock, Random(1 + len(lives)), wire, own, LocalStorage(root / "exports", _inline))
        built = await bootstrap.build_daemon(config, accounts, seams, log)
        await built.run(stop)
        await own.close()

    async def restart(after_s: float) -> None:
        stop.set()
        await lives[-1]
        await clock.sleep(after_s)
        stop.clear()
        lives.append(group.create_task(daemon()))

    async def cut(after_s: float) -> None:
        processes[-1].cut()
        lives[-1].cancel()
        await asyncio.wait([lives[-1]])
        await clock.sleep(after_s)
        lives.append(group.create_task(daemon()))

    service = JobService(
        accounts, JobStore(database),
        shards=dict.fromkeys(accounts, 1), clock=clock, rand=Random(2), log=log,
    )  # fmt: skip
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        lives.append(group.create_task(daemon()))
        result = await story(
            StubWorld(service, AccountService(accounts, database, clock), clock, wire, root, output, restart, cut)
        )
        stop.set()
    await database.close()
    return result


def _config(root: Path, account: Mapping[str, object], lookout_s: float) -> Config:
    whole = {"provider": "demo", "allow_private": True, "settings": {"server": ORIGIN}, **account}
    return Config.model_validate(
        {
            "database": {"url": f"sqlite:///{root / 'tidewaiter.db'}"},
            "storage": {"root": str(root / "exports")},
            "worker": {"lease_s": 60.0, "lookout_s": lookout_s, "drain_s": 10.0},
            "accounts": {ACCOUNT: whole},
            "retention": {},
            "log": {},
            "providers": {"folders": [str(root / "specs")]},
        }
    )


async def _inline(work: Callable[[], T]) -> T:
    return work()
