"""The services on the configured database, for commands that need no daemon."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random, SystemRandom

from tidewaiter.bootstrap.account_binding import (
    bind_accounts,
    faulty_schedules,
    read_schedules,
    secrets_of,
    usable_providers,
)
from tidewaiter.bootstrap.webhooks import subscriptions_of
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import Config
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.database_mark import check_mark
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.database.rekey import rekey, rekey_refresh_tokens, rekey_secrets
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.database.schema_check import is_fresh
from tidewaiter.database.sealing import Seal
from tidewaiter.domain.change_feed import ChangeListener, ignore_change
from tidewaiter.log import EventLog
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.services import AccountService, BackfillService, JobService, ScheduleService


@asynccontextmanager
async def open_job_service(config: Config, log: EventLog, clock: Clock | None = None) -> AsyncIterator[JobService]:
    """The job service on the configured database, for a command that needs no daemon.

    Raises:
        ConfigError: see :func:`bind_accounts`.
        StoreUnavailableError: the database cannot be reached.
        SchemaError: its schema is missing, old, or newer than this program.
    """
    clock = clock or SystemClock()
    accounts = bind_accounts(config, usable_providers(config))
    log.add_secrets(secrets_of(config, accounts))
    await prepare_database(config)
    database = Database.open(config.database.url, clock)
    try:
        await database.check_schema()
        yield job_service_of(config, accounts, database, clock, log)
    finally:
        await database.close()


@asynccontextmanager
async def open_account_service(config: Config, log: EventLog) -> AsyncIterator[AccountService]:
    """The account service on the configured database; raises as :func:`open_job_service` does."""
    clock = SystemClock()
    async with open_job_service(config, log, clock) as service:
        yield AccountService(service.accounts, service.jobs.database, clock)


@asynccontextmanager
async def open_schedules(config: Config, log: EventLog) -> AsyncIterator[ScheduleService]:
    """The schedules on the configured database; raises as :func:`open_job_service` does."""
    clock = SystemClock()
    async with open_job_service(config, log, clock) as service:
        schedules = read_schedules(config, service.accounts)
        faulty = faulty_schedules(config, service.accounts)
        yield ScheduleService(schedules, ScheduleStore(service.jobs.database), service, clock, faulty)


@asynccontextmanager
async def open_backfills(config: Config, log: EventLog) -> AsyncIterator[BackfillService]:
    """The service for backfills on the configured database; raises as :func:`open_job_service` does."""
    clock = SystemClock()
    async with open_job_service(config, log, clock) as service:
        yield BackfillService(service, BackfillStore(service.jobs), clock, log)


@asynccontextmanager
async def open_notifications(config: Config, log: EventLog) -> AsyncIterator[NotificationStore]:
    """The notifications of the configured database; raises as :func:`open_job_service` does."""
    async with open_job_service(config, log) as service:
        yield NotificationStore(service.jobs.database)


def job_service_of(
    config: Config,
    accounts: Mapping[str, BoundAccount],
    database: Database,
    clock: Clock,
    log: EventLog,
    *,
    rand: Random | None = None,
    on_change: ChangeListener = ignore_change,
) -> JobService:
    """The job service on an open database; ``rand`` spreads jobs over lanes, ``on_change`` is called with new jobs."""
    return JobService(
        accounts,
        jobs_of(config, database),
        shards={name: account.shards for name, account in config.accounts.items()},
        clock=clock,
        rand=rand or SystemRandom(),
        log=log,
        on_change=on_change,
    )


def jobs_of(config: Config, database: Database) -> JobStore:
    """The jobs of an open database, with the endpoints to notify and the encryption keys."""
    return JobStore(database, subscriptions_of(config), Seal(config.database.keys))


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """How many jobs' links, refresh tokens and rows with secret parameters were written again, or no key decrypts."""

    links: int
    unreadable_links: int
    refresh_tokens: int
    unreadable_refresh_tokens: int
    secrets: int
    unreadable_secrets: int


async def rekeyed(config: Config, *, decrypt: bool) -> Rekeyed:
    """Encrypt with the first key again, or decrypt all but the refresh tokens; see :mod:`tidewaiter.database.rekey`.

    Raises as :func:`open_job_service` does.
    """
    await prepare_database(config)
    database = Database.open(config.database.url, SystemClock())
    seal = Seal(config.database.keys)
    try:
        await database.check_schema()
        links = await rekey(database, seal, decrypt=decrypt)
        secrets = await rekey_secrets(database, seal, decrypt=decrypt)
        return Rekeyed(*links, *await rekey_refresh_tokens(database, seal), *secrets)
    finally:
        await database.close()


async def prepare_database(config: Config) -> None:
    """A new SQLite file gets its schema at once; any other database waits for ``tidewaiter db upgrade``.

    Raises:
        DatabaseFileError: an SQLite file is not the one that was served last; nothing was created.
        StoreUnavailableError: the file cannot be used.
    """
    await asyncio.to_thread(check_mark, config.database.url)
    if await asyncio.to_thread(is_fresh, config.database.url):
        from tidewaiter.database import migrate  # noqa: PLC0415  # Alembic takes 11 MB, and the first start alone needs it

        await asyncio.to_thread(migrate.upgrade, config.database.url)
