"""One export without a running daemon."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tidewaiter.bootstrap.open_services import open_job_service, prepare_database
from tidewaiter.bootstrap.process import EXIT_FAILED, serve
from tidewaiter.clock import SystemClock
from tidewaiter.config import CallbacksTable, Config, HttpTable
from tidewaiter.database.sqlite_files import number_jobs_from
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.log import EventLog
from tidewaiter.services import DAEMON, AccountService

_ENDS = TERMINAL | {State.PARKED}


class RunBrokenError(Exception):
    """A part of the daemon died during :func:`run_once`, or the job would wait for a person who is not there."""


async def run_once(
    config: Config,
    account: str,
    operation: str,
    params: Mapping[str, Json],
    *,
    out: Path,
    on_change: Callable[[Job], None],
    log: EventLog,
) -> tuple[Job, list[Artifact]]:
    """One export without a running daemon: on a scratch database, into ``out``.

    Files land in a folder with the job's number. The number is taken from the clock, so no earlier run and no
    daemon has used it, and files that are in ``out`` already stay as they are.

    Args:
        config: where the account is configured.
        account: its name.
        operation: what to ask for.
        params: the parameters as they were given.
        out: the folder that takes the files.
        on_change: called after each change of the job.
        log: receives the daemon's lines.

    Returns:
        The job as it ended, and its files below ``out``.

    Raises:
        RequestError: bad parameters; ConfigError: bad configuration.
        RunBrokenError: a part of the daemon died, or the account's credentials are refused, so that the job would wait
            for a person who is not there.
    """
    with tempfile.TemporaryDirectory(prefix="tidewaiter-run-") as scratch:
        alone = config.model_copy(
            update={
                "database": config.database.model_copy(update={"url": f"sqlite:///{scratch}/run.db"}),
                "storage": config.storage.model_copy(update={"root": out, "url": None}),
                # A daemon may listen there already, and polling is enough for one job.
                "callbacks": CallbacksTable(),
                "http": HttpTable(),
                # The person who runs it sees the result; no process would be left to retry a notification.
                "notifications": {},
            }
        )
        clock = SystemClock()
        await prepare_database(alone)
        number_jobs_from(Path(scratch, "run.db"), int(clock.now() * 1000))
        async with open_job_service(alone, log, clock) as service:
            job, _ = await service.submit(account, operation, params, actor=DAEMON)
            accounts = AccountService(service.accounts, service.jobs.database, clock)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                daemon = group.create_task(serve(alone, log, stop=stop))
                seen = -1
                pause = None
                while job.state not in _ENDS and pause is None and not daemon.done():
                    if job.version != seen:
                        on_change(job)
                        seen = job.version
                    await clock.sleep(0.1)
                    job = await service.jobs.get(job.id) or job
                    pause = await accounts.pause_of(account)
                stop.set()
            if daemon.result() == EXIT_FAILED:
                raise RunBrokenError("the run broke off on a fault of Tidewaiter; the log says which")
            if pause is not None and job.state not in _ENDS:
                raise RunBrokenError(f"the run broke off: {pause.reason}")
            on_change(job)
            return job, await service.jobs.artifacts(job.id)
