"""``python -m tests.simulation.crashing_submits COUNT [--seed N]``: very many submits whose daemon dies.

A slim path: the real state table, store, group commit, fences and SQLite file, and in place of lanes, executor and
network a loop that follows the protocol. Each batch of jobs has one of three kinds of operation. A daemon dies before
its intents are durable, after that and before, between or after its POSTs, or before their outcomes are committed; the
next one takes the lane and finds what is there. POSTs may be lost, or their replies, and what a former owner commits
must be refused. A submit counts as crashed if its intent was durable and its outcome was never committed.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.inline_sqlite import InlineProcess
from tests.support.scratch import scratch
from tests.support.stored_jobs import StandingClock
from tidewaiter.database import migrate
from tidewaiter.database.due_store import DueQuestion, DueStore
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import FencedUpdate, JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import Job, NewJob, State, Track
from tidewaiter.domain.state_machine import JobUpdate, advance

KINDS = ("blind", "adoptable", "repeatable")
_BATCH = 200
_LATER_S = 4000.0
"""Longer than every delay of a retry."""
_LAG_S = 60.0
_ACCOUNT = "acme"


@dataclass(slots=True)
class Remote:
    """The provider: remote jobs by job of ours, with the time at which its list shows them; and the POSTs it got."""

    posts: Counter[int] = field(default_factory=Counter)
    made: dict[int, list[tuple[str, float]]] = field(default_factory=dict)

    def post(self, job: Job, kind: str, now: float) -> str:
        """A submit arrives."""
        self.posts[job.id] += 1
        mine = self.made.setdefault(job.id, [])
        if not mine or kind != "repeatable":
            mine.append((f"e{job.id}-{len(mine)}", now + _LAG_S / 2))
        return mine[-1][0]

    def listed(self, job: Job, now: float) -> str | None:
        """What the provider's list shows of a job."""
        return next((name for name, at in self.made.get(job.id, ()) if at <= now), None)


@dataclass(slots=True)
class Tally:
    """What happened."""

    submits: int = 0
    crashed: int = 0
    lives: int = 0
    wrong: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)


class Batch:
    """Jobs of one kind, through the lives of as many daemons as it takes."""

    def __init__(self, database: Database, clock: StandingClock, rand: Random, kind: str, tally: Tally) -> None:
        self._jobs, self._lanes, self._due = JobStore(database), LaneStore(database), DueStore(database)
        self._clock, self._rand, self._kind, self._tally = clock, rand, kind, tally
        self._policy = OperationPolicy(repeatable=kind == "repeatable", most_unknown=1000)
        self._remote = Remote()
        self._epoch, self._owner, self._lane = 0, "", 0

    async def live(self, number: int) -> None:
        """From the first daemon to the last, and what is wrong then."""
        await self._take()
        news = [(NewJob(_ACCOUNT, self._kind, {}, 1e9), self._lane)] * number
        numbers = [job.id for job, _ in await self._jobs.add_many(news, self._clock.now())]
        while due := await self._find():
            self._tally.lives += 1
            crashes = self._rand.random() < 0.9
            await self._life(due, crashes=crashes)
            self._clock.at += _LATER_S
            await self._take()
        found = {job.id: job for job in await self._jobs.find(limit=number + 1)}
        for one in numbers:
            self._tally.wrong += self._judge(found[one]) if one in found else [f"job {one} has vanished"]

    async def _take(self) -> None:
        """Another daemon takes the lane; the one before it may not know that yet."""
        self._owner = f"{self._rand.getrandbits(64):016x}"
        (row,) = await self._lanes.take(self._owner, 1, 60.0, force=True, accounts=[_ACCOUNT])
        self._lane, self._epoch = row.id, row.epoch

    async def _find(self) -> Sequence[Job]:
        (answer,) = await self._due.due([DueQuestion(self._lane, Track.ASK, _BATCH)], self._clock.now())
        return [job for job in answer.jobs if job.state is not State.POLLING]

    async def _life(self, due: Sequence[Job], *, crashes: bool) -> None:
        """One daemon: it decides, makes intents durable, sends, and commits; or dies at some point of that."""
        rand, now, owner, epoch = self._rand, self._clock.now(), self._owner, self._epoch
        first = [self._before(job, now) for job in due]
        ends_at = rand.choice(("before intents", "among requests", "before outcomes")) if crashes else "never"
        if ends_at == "before intents":
            return
        accepted = (await self._jobs.record([FencedUpdate(update, epoch) for update in first], owner)).accepted
        sending = [one.job for one in first if one.job.state is State.SUBMITTING and one.job.id in accepted]
        dies_after = rand.randrange(len(sending) + 1) if ends_at == "among requests" else len(sending)
        outcomes = []
        for job in sending[:dies_after]:
            self._tally.submits += 1
            outcomes.append(advance(job, self._send(job), self._policy, now, rand))
        self._tally.crashed += len(sending) if ends_at != "never" else 0
        if ends_at == "before outcomes" and rand.random() < 0.5:
            self._clock.at += _LATER_S
            await self._take()  # the lease has passed on: what it commits now is refused
            late = await self._jobs.record([FencedUpdate(update, epoch) for update in outcomes], owner)
            self._tally.wrong += [f"a former owner has written job {one}" for one in late.accepted]
        elif ends_at == "never" and outcomes:
            await self._jobs.record([FencedUpdate(update, epoch) for update in outcomes], owner)

    def _before(self, job: Job, now: float) -> JobUpdate:
        """What the daemon decides about a job that it finds."""
        found: o.Outcome
        if job.state is State.QUEUED:
            found = o.Intended(job.intent_key or f"{self._rand.getrandbits(64):016x}")
        elif job.state is State.SUBMITTING:
            found = o.Unknown("the daemon ended between the intent and the reply")
        elif self._kind == "adoptable":
            name = self._remote.listed(job, now)
            since = now - (job.submitted_at or now)
            found = o.Adopted(name) if name else o.Absent("none") if since > _LAG_S else o.Retry("not yet listed")
        else:
            found = o.Undecidable("unknown")
        return advance(job, found, self._policy, now, self._rand)

    def _send(self, job: Job) -> o.Outcome:
        """The fate of one POST."""
        fate = self._rand.random()
        if fate < 0.1:
            return o.Unsent("connection refused")
        if fate < 0.2:
            return o.Unknown("lost on its way")
        name = self._remote.post(job, self._kind, self._clock.now())
        return o.Unknown("the reply was lost") if fate < 0.3 else o.Accepted(name)

    def _judge(self, job: Job) -> list[str]:
        """Invariants 2, 3 and 7 for one job."""
        self._tally.ends[f"{self._kind} {job.state}"] += 1
        posts, made = self._remote.posts[job.id], [name for name, _ in self._remote.made.get(job.id, [])]
        wrong = []
        if len(made) > 1 or (posts > 1 and self._kind != "repeatable"):
            wrong.append(f"{self._kind} job {job.id}: {posts} POSTs, {len(made)} remote jobs")
        if job.state is State.POLLING and [job.handle] != made:
            wrong.append(f"job {job.id} follows {job.handle}, made is {made}")
        if job.state not in (State.POLLING, State.PARKED) or (job.state is State.PARKED and self._kind != "blind"):
            wrong.append(f"{self._kind} job {job.id} is {job.state}: {job.reason}")
        return wrong


async def crash(count: int, seed: int, folder: Path) -> Tally:
    """So many submits that crash."""
    clock, rand, tally = StandingClock(), Random(f"crashing {seed}"), Tally()
    file = folder / "jobs.db"
    migrate.upgrade(f"sqlite:///{file}")
    database = InlineProcess(file).database(clock)
    await LaneStore(database).ensure({_ACCOUNT: 1})
    number = 0
    while tally.crashed < count and not tally.wrong:
        await Batch(database, clock, rand, KINDS[number % 3], tally).live(min(_BATCH, count))
        number += 1
        async with database.writing() as connection:  # each batch is judged, and makes room for the next
            await connection.exec_driver_sql("DELETE FROM jobs")
    await database.close()
    return tally


def main() -> int:
    """Run as many as are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.crashing_submits")
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with scratch("crash") as folder:
        tally = asyncio.run(crash(given.count, given.seed, folder))
    line = {
        "seed": given.seed, "crashed": tally.crashed, "submits": tally.submits, "daemons": tally.lives,
        "ends": dict(sorted(tally.ends.items())), "cpu_s": round(time.process_time(), 1), "wrong": tally.wrong[:10],
    }  # fmt: skip
    sys.stdout.write(json.dumps(line) + "\n")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
