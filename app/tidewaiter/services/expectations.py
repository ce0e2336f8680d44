"""When jobs are expected to be ready, for the command line, the page and the API."""

from collections.abc import Mapping

from tidewaiter.database.duration_store import DurationStore
from tidewaiter.database.engine import Database
from tidewaiter.domain.duration_kind import kind_of
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.expectation import Expectation, expectation_of
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.learned_schedule import LEAST_JOBS
from tidewaiter.providers.provider import BoundAccount


async def expected_ready(
    database: Database, accounts: Mapping[str, BoundAccount], job: Job, now: float
) -> Expectation | None:
    """When a job's remote job is expected to be ready; ``None`` if it is not polled, or nothing is known.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    account = accounts.get(job.account)
    operation = None if account is None else account.operations.get(job.operation)
    if job.state is not State.POLLING or operation is None or not operation.policy.learn:
        return None
    sketches = await DurationStore(database).of_jobs([job])
    kind = kind_of(operation.policy.learn_by, job.params)
    sketch = sketches.get((job.lane, job.operation, kind), NO_DURATIONS)
    if sketch.count < LEAST_JOBS:
        sketch = sketches.get((job.lane, job.operation, ""), NO_DURATIONS)
    return expectation_of(job, sketch, now)
