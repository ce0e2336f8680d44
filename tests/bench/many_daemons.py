"""Ten daemons and 10,000 accounts in virtual time: how lanes spread, what each polls, and a death among them.

The daemons are real, with their SQL, leases, lanes and budgets; they share one database file, which takes the place of
a PostgreSQL here, and one provider that is a function. Nothing depends on the speed of the machine.
"""

import asyncio
import io
import shutil
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Final, TypeAlias, TypeVar

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.bench.report import Finding, at_least, at_most
from tests.simulation.stub_world import ORIGIN, ReplyData, Sent, StubWire
from tests.support.inline_sqlite import InlineProcess
from tests.support.report_spec import HEAD, POLL, RESULTS, SUBMIT
from tests.support.virtual_time import START_AT, VirtualClock, virtual_time
from tidewaiter import bootstrap
from tidewaiter.config import Config
from tidewaiter.database import migrate
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.log import configure
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.storage.folder import LocalStorage

T = TypeVar("T")
_Say: TypeAlias = Callable[[str], None]

DAEMONS: Final = 10
ACCOUNTS: Final = 10_000
_JOBS_OF_ACCOUNT: Final = 2
_REQUESTS: Final = 2
_PERIOD_S: Final = 60.0
_LEASE_S: Final = 30.0
_INTERVAL_S: Final = 20.0
_LOOKOUT_S: Final = 10.0
_DEATH_S: Final = 180.0
_END_S: Final = 330.0
_SPEC: Final = HEAD + SUBMIT + POLL + RESULTS
_INSERT: Final = text(
    """
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :each)
    INSERT INTO jobs (lane, account, operation, params, state, version, due_at, created_at, deadline_at, handle,
                      submits, submitted_at, track)
    SELECT lanes.id, lanes.account, 'report', '{}', 'polling', 3, :now + n, :now, :now + 86400.0,
           lanes.account || '.' || n, 1, :now, 0
    FROM lanes, numbers
    """
)


@dataclass(slots=True)
class _Life:
    """One daemon: its connections work only while it has power."""

    number: int
    wire: StubWire
    task: "asyncio.Task[bool]"
    process: InlineProcess


@dataclass(slots=True)
class Story:
    """What happened: requests by account as (second, daemon), and how many lanes each daemon had at which second."""

    requests: Mapping[str, list[tuple[float, int]]]
    lanes: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)
    dead: int = 0
    died_at: float = 0.0

    def spread_after_s(self) -> float:
        """When every daemon had its share for the first time."""
        return next(at for at, lanes in self.lanes if max(lanes) == min(lanes) > 0)

    def taken_over_after_s(self) -> float:
        """How long after the death the others had all lanes."""
        return next(
            at - self.died_at
            for at, lanes in self.lanes
            if at > self.died_at and sum(lanes) - lanes[self.dead] == ACCOUNTS
        )

    def polls(self) -> list[int]:
        """How many requests each daemon sent before the death, without the first period, in which lanes move."""
        sent = Counter(
            daemon for times in self.requests.values() for at, daemon in times if _PERIOD_S <= at < self.died_at
        )
        return [sent[daemon] for daemon in range(DAEMONS)]

    def gaps_s(self) -> list[float]:
        """For each account of the dead daemon, the time from its death to the next request."""
        gaps = []
        for times in self.requests.values():
            place = bisect_left(times, (self.died_at, -1))
            if 0 < place < len(times) and times[place - 1][1] == self.dead:
                gaps.append(times[place][0] - self.died_at)
        return gaps

    def fullest(self) -> int:
        """The most requests of one account in any period, whichever daemons sent them."""
        return max(
            bisect_left(times, (at + _PERIOD_S, -1)) - place
            for times in self.requests.values()
            for place, (at, _) in enumerate(times)
        )

    def used(self) -> float:
        """The share of the permitted requests that was sent in these periods."""
        return sum(self.polls()) / (ACCOUNTS * _REQUESTS * (self.died_at - _PERIOD_S) / _PERIOD_S)


def live(folder: Path) -> Story:
    """Live through five and a half minutes: all daemons start at once, and one of them dies after three."""
    with virtual_time() as (loop, clock):
        return loop.run_until_complete(_live(folder, clock))


async def _live(folder: Path, clock: VirtualClock) -> Story:
    path = folder / "tidewaiter.db"
    config = _config(folder)
    accounts = bootstrap.bind_accounts(config)
    await _fill(folder, path, clock, accounts)
    lives = [await _born(number, config, accounts, path, clock) for number in range(DAEMONS)]
    story = Story(defaultdict(list))
    stores = LaneStore(InlineProcess(path).database(clock))
    while clock.monotonic() < _END_S:
        await clock.sleep(1.0)
        if not story.died_at and clock.monotonic() >= _DEATH_S:
            story.died_at = clock.monotonic()
            await _end(lives[story.dead])
        owners = Counter(lane.owner for lane in await stores.all_lanes() if lane.leased)
        names = [f"{Random(number).getrandbits(64):016x}" for number in range(DAEMONS)]
        story.lanes.append((clock.monotonic(), tuple(owners[name] for name in names)))
    for one in lives:
        await _end(one)
    for one in lives:
        for sent in one.wire.sent:
            account = sent.request.url.rpartition("/")[2].partition(".")[0]
            story.requests[account].append((sent.at - START_AT, one.number))
    for times in story.requests.values():
        times.sort()
    return story


async def _fill(folder: Path, path: Path, clock: VirtualClock, accounts: Mapping[str, BoundAccount]) -> None:
    template = folder / "template.db"
    migrate.upgrade(f"sqlite:///{template}")
    shutil.move(template, path)
    database = InlineProcess(path).database(clock)
    await LaneStore(database).ensure(dict.fromkeys(accounts, 1))
    await database.close()
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(_INSERT, {"each": _JOBS_OF_ACCOUNT, "now": clock.now()})


async def _born(
    number: int, config: Config, accounts: Mapping[str, BoundAccount], path: Path, clock: VirtualClock
) -> _Life:
    process = InlineProcess(path)
    database = process.database(clock)
    database.exclusive = False  # as on PostgreSQL: several daemons share it
    wire = StubWire(_pending, clock)
    storage = LocalStorage(path.parent / f"exports-{number}", _inline)
    seams = bootstrap.Seams(clock, Random(number), wire, database, storage)
    log = configure("json", "error", [], clock=clock, stream=io.StringIO(), strict=True)
    daemon = await bootstrap.build_daemon(config, accounts, seams, log)
    return _Life(number, wire, asyncio.ensure_future(daemon.run(asyncio.Event())), process)


async def _end(life: _Life) -> None:
    life.process.on = False
    life.task.cancel()
    await asyncio.wait([life.task])
    with suppress(asyncio.CancelledError):
        life.task.exception()


def _pending(_: Sent) -> ReplyData:
    return ReplyData(200, {"status": "working"})


async def _inline(work: Callable[[], T]) -> T:
    return work()


def _config(folder: Path) -> Config:
    (folder / "specs").mkdir()
    (folder / "specs" / "demo.toml").write_text(_SPEC)
    account = {
        "provider": "demo",
        "allow_private": True,
        "settings": {"server": ORIGIN},
        "limits": {"requests": _REQUESTS, "period_s": _PERIOD_S},
        "schedule": {"first_delay_s": 0, "interval_s": _INTERVAL_S, "factor": 1},
    }
    return Config.model_validate(
        {
            "database": {"url": f"sqlite:///{folder / 'tidewaiter.db'}"},
            "storage": {"root": str(folder / "exports")},
            "worker": {"lease_s": _LEASE_S, "lookout_s": _LOOKOUT_S},
            "accounts": {f"a{number:05}": account for number in range(ACCOUNTS)},
            "retention": {},
            "log": {},
            "providers": {"folders": [str(folder / "specs")]},
        }
    )


def measure(folder: Path, say: _Say) -> list[Finding]:
    """Live through it, and give what it shows.

    Args:
        folder: for the database.
        say: told of what is being done.
    """
    say(f"{DAEMONS} daemons, {ACCOUNTS:,} accounts, {_REQUESTS} requests permitted in {_PERIOD_S:g} s for each")
    began = time.perf_counter()
    story = live(folder)
    say(f"  {_END_S:g} s in {time.perf_counter() - began:.0f} s; one died at {story.died_at:g} s")
    for at, lanes in _changes(story.lanes):
        say(f"  {at:5.0f} s: lanes {', '.join(map(str, lanes))}")
    return _findings(story)


def _changes(lanes: Sequence[tuple[float, tuple[int, ...]]]) -> list[tuple[float, tuple[int, ...]]]:
    """Only the seconds in which something changed."""
    return [one for place, one in enumerate(lanes) if not place or one[1] != lanes[place - 1][1]]


def _findings(story: Story) -> list[Finding]:
    polls, gaps = story.polls(), story.gaps_s()
    last = story.lanes[-1][1]
    living = [lanes for number, lanes in enumerate(last) if number != story.dead]
    share = ceil(ACCOUNTS / len(living))
    late = quantiles(gaps, n=100)[98]
    bound = _LEASE_S * 4 / 3 + _PERIOD_S
    return [
        Finding("lanes spread evenly after", f"{story.spread_after_s():.0f} s", f"lease {_LEASE_S:g} s",
                story.spread_after_s() / _LEASE_S),
        at_most("most requests of an account in a period", f"{story.fullest()}", f"{_REQUESTS}",
                story.fullest() / _REQUESTS, 1),
        at_least("requests sent of those permitted in two periods", f"{story.used():.1%}", "100 %", story.used(), 0.9),
        at_most("polls of a daemon in two periods, most / least", f"{max(polls)}", f"{min(polls)}",
                max(polls) / min(polls), 1.5),
        at_most("all lanes of the dead one have another owner after", f"{story.taken_over_after_s():.0f} s",
                f"lease and a round {_LEASE_S * 4 / 3:g} s", story.taken_over_after_s() / (_LEASE_S * 4 / 3), 1.5),
        at_most("its accounts are polled again after, median; p99", f"{median(gaps):.0f} s; {late:.0f} s",
                f"lease, round and period {bound:g} s", late / bound, 1.5),
        at_most("most lanes of a daemon then", f"{max(living)}", f"a share of {share}", max(living) / share, 1),
    ]  # fmt: skip
