"""The backfill runner: submits the windows of backfills, a few jobs at a time, exactly one for each window.

Every daemon runs one. Two daemons that see the same window use the same unique key, so there is one job, and only one
of them stores that the window is submitted. A daemon that dies in between leaves the window to the next round of any
daemon, which submits it again with the same key. No job is stored for a backfill that is paused or cancelled.
"""

from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock, WakeableTimer
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.domain.backfill import Backfill
from tidewaiter.domain.job import Job, NewJob
from tidewaiter.log import EventLog
from tidewaiter.services import Actor, Channel, JobService, RequestError
from tidewaiter.services.backfill_service import cancel_jobs, window_job, window_terms
from tidewaiter.services.batch_events import log_batch

ROUND_S: Final = 2.0
_MOST_LOOKED_AT: Final = 200
"""Windows of one backfill in one step; then the others have their turn."""
DAEMON_NAME: Final = "daemon"


@dataclass(frozen=True, slots=True)
class BackfillSettings:
    """What submits the jobs, for the accounts of the configuration."""

    jobs: JobService


@dataclass(slots=True)
class _Step:
    """What one step of a backfill has found: the jobs to submit, and the windows that need none."""

    place: int
    news: list[NewJob]
    reused: int = 0
    refusal: str | None = None


class BackfillRunner:
    """Submits the windows of backfills.

    Args:
        settings: what submits their jobs.
        store: has the backfills.
        clock: the time.
        log: receives what is submitted.
    """

    def __init__(self, settings: BackfillSettings, store: BackfillStore, clock: Clock, log: EventLog) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._log = log
        self._timer = WakeableTimer(clock)

    def reconfigure(self, settings: BackfillSettings) -> None:
        """Submit jobs of this configuration from now on."""
        self._settings = settings
        self._timer.wake()

    async def run(self) -> None:
        """Submit until cancelled."""
        while True:
            try:
                await self.serve()
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
            await self._timer.sleep(ROUND_S)

    async def serve(self) -> None:
        """Submit what has room, of each backfill whose account this daemon knows; finish what others cancelled."""
        for backfill in await self._store.unfinished():
            if backfill.batch.complete:  # the process that cancelled it may have died before it cancelled its jobs
                await cancel_jobs(self._settings.jobs, backfill.name, Actor(DAEMON_NAME, Channel.DAEMON), retries=False)
                await self._store.jobs_cancelled(backfill.name, self._clock.now())
                continue
            seen: Backfill | None = backfill
            while seen is not None and seen.account in self._settings.jobs.accounts and await self._advance(seen):
                seen = await self._store.get(seen.name)

    async def _advance(self, seen: Backfill) -> bool:
        """Submit some windows; returns whether more may have room at once."""
        room = self._room(seen)
        if room <= 0 or seen.batch.complete or seen.paused_at is not None:
            return False
        step = await self._next(seen, room)
        stored: list[tuple[Job, bool]] = []
        if step.news:
            actor = Actor(seen.batch.created_by or DAEMON_NAME, Channel.DAEMON)
            try:
                stored = await self._settings.jobs.store(step.news, actor=actor, guard=self._store.still(seen))
            except RequestError as error:
                step = _Step(seen.next_window, [], refusal=str(error))
            else:
                if not stored:
                    return False
        if step.place > seen.next_window:
            advanced, ended = await self._store.advance(seen, step.place, step.reused, self._clock.now())
            if not advanced:
                return False
            self._log.emit(
                "backfill.advanced", backfill=seen.name, account=seen.account, operation=seen.operation,
                jobs=sum(created for _, created in stored), reused=step.reused, submitted=step.place,
                windows=seen.windows,
            )  # fmt: skip
            for one in ended:
                log_batch(self._log, one)
        if step.refusal is not None:
            await self._store.pause(seen.name, DAEMON_NAME, step.refusal, self._clock.now())
            self._log.emit("backfill.paused", backfill=seen.name, account=seen.account, reason=step.refusal)
            return False
        return seen.next_window < step.place < seen.windows

    async def _next(self, seen: Backfill, room: int) -> _Step:
        """The next windows: at most ``room`` jobs, and the windows before and between them that need none."""
        step = _Step(seen.next_window, [])
        last = min(seen.windows, seen.next_window + _MOST_LOOKED_AT)
        while step.place < last and len(step.news) < room:
            try:
                new = window_job(self._settings.jobs, seen, step.place)
            except RequestError as error:
                step.refusal = str(error)
                break
            terms = window_terms(self._settings.jobs, seen, step.place, new) if seen.plan.reuse else ()
            if await self._store.landed(new, terms, seen.name) is None:
                step.news.append(new)
            else:
                step.reused += 1
            step.place += 1
        return step

    def _room(self, seen: Backfill) -> int:
        """How many more jobs may be under way: more remote jobs than the account may have would only wait."""
        account = self._settings.jobs.accounts[seen.account]
        return seen.room(min(seen.plan.at_once, account.limits.remote_jobs or seen.plan.at_once))
