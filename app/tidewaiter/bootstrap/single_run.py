"""One export without a running daemon."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tidewaiter.bootstrap.account_binding import bind_accounts
from tidewaiter.bootstrap.open_services import open_job_service, prepare_database
from tidewaiter.bootstrap.process import EXIT_FAILED, serve
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import CallbacksTable, Config, HttpTable
from tidewaiter.database.engine import Database
from tidewaiter.database.sqlite_files import number_jobs_from
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.manifest import Artifact, folder_of
from tidewaiter.log import EventLog
from tidewaiter.services import DAEMON, AccountService
from tidewaiter.storage.base import StorageError
from tidewaiter.storage.handing_over import hand_over

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

    Only a refresh token that logins replace is in the configured database, where the daemon finds the new one.

    Files land in a hidden folder below ``out``, with the daemon's checks, and move into ``out`` itself when the job has
    ended, the manifest last. Files that are in ``out`` already stay as they are: a new file whose name is taken gets
    the job's number. This number is taken from the clock, so no earlier run and no daemon has used it.

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
            for a person who is not there; or the files could not be moved into ``out``.
    """
    clock = SystemClock()
    number = int(clock.now() * 1000)
    landing = out / f".tidewaiter-run-{number}"
    with _removed_if_it_fails(landing), tempfile.TemporaryDirectory(prefix="tidewaiter-run-") as scratch:
        alone = config_of_run(config, account, f"sqlite:///{scratch}/run.db", landing)
        one = bind_accounts(alone).get(account)
        shares_token = one is not None and one.replaced_token is not None
        await prepare_database(alone)
        number_jobs_from(Path(scratch, "run.db"), number)
        async with (
            _refresh_tokens(config if shares_token else None, clock) as tokens,
            open_job_service(alone, log, clock) as service,
        ):
            job, _ = await service.submit(account, operation, params, actor=DAEMON)
            accounts = AccountService(service.accounts, service.jobs.database, clock)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                daemon = group.create_task(serve(alone, log, stop=stop, refresh_tokens=tokens))
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
            artifacts = await service.jobs.artifacts(job.id)
            try:
                artifacts = await asyncio.to_thread(_hand_over, landing, job, artifacts, out)
            except StorageError as error:
                raise _NotMovedError(f"the files are whole, but still below {landing}: {error}") from error
            if daemon.result() == EXIT_FAILED:
                raise RunBrokenError("the run broke off on a fault of Tidewaiter; the log says which")
            if pause is not None and job.state not in _ENDS:
                raise RunBrokenError(f"the run broke off: {pause.reason}")
            on_change(job)
            return job, artifacts


def config_of_run(config: Config, account: str, database: str, landing: Path) -> Config:
    """The configuration of a daemon that serves one account and nothing else.

    Args:
        config: the configuration for all.
        account: its name; if there is no such account, all stay, so that a refusal can name them.
        database: the URL of the scratch database.
        landing: the folder that takes the files.
    """
    return config.model_copy(
        update={
            "database": config.database.model_copy(update={"url": database}),
            "storage": config.storage.model_copy(update={"root": landing, "url": None}),
            # Of other accounts it would log warnings, and a schedule would make jobs that nobody asked for.
            "accounts": {name: one for name, one in config.accounts.items() if name == account} or config.accounts,
            "schedules": {},
            # A daemon may listen there already, and polling is enough for one job.
            "callbacks": CallbacksTable(),
            "http": HttpTable(),
            "tokens": {},
            # The person who runs it sees the result; no process would be left to retry a notification.
            "notifications": {},
        }
    )


@asynccontextmanager
async def _refresh_tokens(config: Config | None, clock: Clock) -> AsyncIterator[Database | None]:
    """The configured database, for an account whose refresh token is replaced: its daemon must know the new one."""
    if config is None:
        yield None
        return
    await prepare_database(config)
    database = Database.open(config.database.url, clock)
    try:
        await database.check_schema()
        yield database
    finally:
        await database.close()


class _NotMovedError(RunBrokenError):
    """The files are whole, and could not be moved."""


@contextmanager
def _removed_if_it_fails(landing: Path) -> Iterator[None]:
    """Remove unfinished files when a run ends early, by Ctrl-C too; whole ones that could not be moved stay."""
    try:
        yield
    except _NotMovedError:
        raise
    except BaseException:  # Ctrl-C, too
        shutil.rmtree(landing, ignore_errors=True)
        raise


def _hand_over(landing: Path, job: Job, artifacts: list[Artifact], out: Path) -> list[Artifact]:
    """Move what has landed to where the person wants it, and remove the rest: unfinished files that nobody resumes."""
    if not landing.exists():
        return artifacts
    folder = folder_of(job.account, job.operation, job.created_at, job.id)
    moved = hand_over(landing, folder, artifacts, out, job.id)
    shutil.rmtree(landing, ignore_errors=True)
    return moved
