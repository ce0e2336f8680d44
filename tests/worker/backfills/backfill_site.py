"""A configuration with accounts, and what serves their backfills."""

from dataclasses import dataclass, replace
from typing import Any

from tests.support.api_server import ApiServer
from tidewaiter.clock import SystemClock
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backfill import Backfill, BackfillPlan
from tidewaiter.domain.job import Job
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.windows import Span
from tidewaiter.services import (
    Actor,
    BackfillRequest,
    BackfillService,
    Channel,
    JobService,
)
from tidewaiter.worker.backfill_runner import BackfillRunner, BackfillSettings

ANN = Actor("ann", Channel.API)
PARAMS = {"period": "LAST_DAY", "note": "${window.from}"}
PLAN = BackfillPlan(Span("2026-01-01", "2026-01-06", "1d"), at_once=2)


@dataclass(slots=True)
class Site:
    """A configuration with accounts, and what serves their backfills."""

    api: ApiServer
    jobs: JobService
    store: BackfillStore
    service: BackfillService
    runner: BackfillRunner
    log: Any

    def other_runner(self, store: BackfillStore | None = None) -> BackfillRunner:
        """The runner of another daemon."""
        return BackfillRunner(BackfillSettings(self.jobs), store or self.store, SystemClock(), self.log)

    async def create(self, plan: BackfillPlan = PLAN, **changes: Any) -> Backfill:
        """A new backfill."""
        wanted = BackfillRequest("quay", "report", changes.pop("params", PARAMS), plan, changes.pop("name", "fill"))
        made, created = await self.service.create(replace(wanted, **changes), actor=ANN)
        assert created
        return made

    async def days(self) -> list[str]:
        """The days of the backfill's jobs, in the order in which they were made."""
        found = await self.api.jobs.find(limit=1000)
        return [str(job.params["note"])[-2:] for job in reversed(found) if job.context.batch == "fill"]

    async def live(self) -> list[Job]:
        """Its jobs that have not ended, the oldest first."""
        return [job for job in reversed(await self.api.jobs.find(limit=1000)) if job.finished_at is None]

    async def fill(self) -> Backfill:
        """The backfill as it stands."""
        return await self.service.named("fill")


async def end_job(site: Site, number: int) -> None:
    """End a job that nobody has submitted."""
    await site.api.step(number, o.Refused("no"))


async def land_file(site: Site, number: int) -> None:
    """Let a job land a file."""
    landed = await site.api.storage.put(f"quay/{number}.csv", b"x")
    file = Artifact(0, "a.csv", "a", f"quay/{number}.csv", landed.size, landed.sha256, "text/csv", 1.0)
    await site.api.step(number, o.Intended("i"), o.Accepted(f"r-{number}"), o.Ready(), o.Stored((file,)))
