"""Builds and runs the checks of everything that a configuration names, for ``tidewaiter doctor``."""

import asyncio
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from random import SystemRandom

from tidewaiter.bootstrap.account_binding import bind_accounts, usable_providers
from tidewaiter.bootstrap.start_checks import bucket_options, connections_of
from tidewaiter.bootstrap.webhooks import configured_listeners
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import Config, host_and_port
from tidewaiter.config.notification_tables import NotificationTable
from tidewaiter.database.account_store import AccountStore, Pause
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_mark import check_mark
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.engine import Database, StoreUnavailableError
from tidewaiter.database.errors import DatabaseFileError, SchemaError
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.refresh_token_store import RefreshTokenStore, StoredToken
from tidewaiter.database.sealing import Seal
from tidewaiter.doctor.account_checks import Ask, CheckedAccount, check_account
from tidewaiter.doctor.address_checks import (
    check_callbacks,
    check_endpoint,
    check_http,
    check_name,
    check_public_url,
)
from tidewaiter.doctor.data_checks import check_database, check_folder, check_missing_file, check_sqlite, check_storage
from tidewaiter.doctor.findings import Check, Notes, OnFindings, failure, info, run_all
from tidewaiter.doctor.network_endpoint import NetworkEndpoint
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.outcome import Throttled
from tidewaiter.log import EventLog
from tidewaiter.providers.key_test import key_test_of
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.replies.reply_defaults import Trouble
from tidewaiter.storage.base import StorageSetupError
from tidewaiter.storage.open_storage import open_storage
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.connection_settings import ConnectionSettings
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import Timeouts, Wire
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.authenticated_client import AuthenticatedClient, SignInError
from tidewaiter.worker.lease import Lease

_LONGEST_WAIT_S = 20.0
_BODY_LIMIT = 1_048_576
_TIMEOUTS = Timeouts(connect_s=10.0, overall_s=25.0)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows about an account."""

    pause: Pause | None
    closed: str | None
    requests: Sequence[float]
    token_at: float | None


@dataclass(frozen=True, slots=True)
class _Tools:
    """What every check over the network uses; only ``own`` may reach the daemon's own listeners."""

    wire: Wire
    own: Wire
    clock: Clock
    log: EventLog
    connections: ConnectionSettings


async def run_checks(
    config: Config,
    log: EventLog,
    on_findings: OnFindings,
    *,
    accounts: Collection[str] = (),
    offline: bool = False,
    tests_keys: bool = False,
) -> None:
    """Check what the configuration names.

    Args:
        config: a configuration without faults.
        log: receives lines about logins, and redacts their tokens.
        on_findings: receives the findings, check by check.
        accounts: check only these; if empty, all of them.
        offline: use no network.
        tests_keys: send a harmless status request for accounts without a probe.
    """
    clock = SystemClock()
    address = DatabaseAddress.parse(config.database.url)
    async with AsyncExitStack() as stack:
        database = await _opened(config, address, clock)
        if database is not None:
            stack.push_async_callback(database.close)
        # The other checks read accounts from the database, so it is checked first and alone.
        await run_all(_of_this_machine(config, address, database, clock, offline=offline), clock, on_findings)
        if offline:
            return
        known = {} if database is None else await _known(database, config.accounts)
        connections = connections_of(config)
        own = stack.enter_context(configured_listeners(config))
        wire = await stack.enter_async_context(AiohttpWire(own, connections=connections))
        tools = _Tools(
            wire, await stack.enter_async_context(AiohttpWire(connections=connections)), clock, log, connections
        )
        bound = {
            name: one
            for name, one in bind_accounts(config, usable_providers(config)).items()
            if not accounts or name in accounts
        }
        checks = [
            *(_of_account(config, one, known.get(one.name), tools, tests_key=tests_keys) for one in bound.values()),
            *_of_addresses(config, tools),
        ]
        await run_all(checks, clock, on_findings)


async def _opened(config: Config, address: DatabaseAddress, clock: Clock) -> Database | None:
    """The database; ``None`` for a file that does not exist yet, because opening would create it.

    ``None`` also for a file that is not the one that was served last: opening puts a -wal file of another one into it.
    """
    if address.file is not None and not await asyncio.to_thread(address.file.exists):
        return None
    try:
        await asyncio.to_thread(check_mark, config.database.url)
    except DatabaseFileError:
        return None  # the check of SQLite says why
    except StoreUnavailableError:
        pass  # the check of the database says why
    return Database.open(config.database.url, clock)


def _of_this_machine(
    config: Config, address: DatabaseAddress, database: Database | None, clock: Clock, *, offline: bool
) -> list[Check]:
    checks: list[Check] = []
    file, lock = address.file, DaemonLock.of(config.database.url)
    if file is not None and lock is not None:
        checks.append(Check("sqlite", "database", lambda notes: check_sqlite(notes, file, lock)))
    if file is not None and database is None:
        if not file.exists():
            checks.append(Check("database", "database", lambda notes: check_missing_file(notes, file)))
    elif database is not None and (file is not None or not offline):
        checks.append(Check("database", "database", lambda notes: check_database(notes, database, clock)))
    else:
        checks.append(Check("database", "database", partial(_note_skipped, "database")))
    if not config.database.key:
        checks.append(Check("links", "database", _note_plain_links))
    if config.storage.root is not None or not offline:
        checks.append(Check("storage", "storage", lambda notes: _check_storage(notes, config)))
    else:
        checks.append(Check("storage", "storage", partial(_note_skipped, "storage")))
    return checks


async def _note_plain_links(notes: Notes) -> None:
    notes.add(
        "links",
        info(
            "while files are fetched, their links are stored as the provider sent them, also with a credential in the "
            "path; `tidewaiter db new-key` makes a key for [database] key_file, which encrypts them"
        ),
    )


async def _note_skipped(check: str, notes: Notes) -> None:
    notes.add(check, info("not checked (--offline)"))


async def _check_storage(notes: Notes, config: Config) -> None:
    root = config.storage.root
    try:
        with open_storage(root, config.storage.url, bucket_options(config)) as storage:
            if root is not None:
                await check_folder(notes, storage, root)
            else:
                remedy = "check the bucket, its region, the credentials, and the permissions that docs/storage.md lists"
                await check_storage(notes, storage, config.storage.place, remedy)
    except StorageSetupError as error:
        notes.add("storage", failure(str(error), "correct what it names in [storage]"))


async def _known(database: Database, accounts: Collection[str]) -> Mapping[str, _Known]:
    """What is known about each account; nothing if the database cannot be used, which was reported already."""
    try:
        await database.check_schema()
        paused = await AccountStore(database).paused()
        lanes, now = await LaneStore(database).all_lanes(), database.clock.now()
        tokens = await RefreshTokenStore(database, Seal()).stored()
    except (SchemaError, StoreUnavailableError):
        return {}
    return {
        name: _known_of([one for one in lanes if one.account == name], paused.get(name), tokens.get(name), now)
        for name in accounts
    }


def _known_of(lanes: Sequence[LaneStatus], pause: Pause | None, token: StoredToken | None, now: float) -> _Known:
    closed = next((reason for lane in lanes if (reason := _closed(lane, now)) is not None), None)
    requests = sorted(at for lane in lanes for at in lane.request_window)
    return _Known(pause, closed, requests, None if token is None else token.stored_at)


def _closed(lane: LaneStatus, now: float) -> str | None:
    if lane.closed_until is None or lane.closed_until <= now:
        return None
    reason = lane.closed_reason or "the provider asked for it"
    return f"the account is closed for {lane.closed_until - now:,.0f} s more, because {reason}"


def _of_account(
    config: Config, account: BoundAccount, known: _Known | None, tools: _Tools, *, tests_key: bool
) -> Check:
    private_ok = config.accounts[account.name].private_ok
    checked = CheckedAccount(
        account.name,
        account.first_url,
        private_ok,
        account.probe,
        _asker(account, [] if known is None else known.requests, tools, private_ok=private_ok),
        key_test=key_test_of(account),
        tests_key=tests_key,
        pause_known=known is not None,
        pause=None if known is None else known.pause,
        closed=None if known is None else known.closed,
        spends_token=account.replaced_token is not None,
        token_at=None if known is None else known.token_at,
    )
    return Check("login", account.name, lambda notes: check_account(notes, checked, tools.clock, tools.connections))


def _asker(account: BoundAccount, requests: Sequence[float], tools: _Tools, *, private_ok: PermittedNetworks) -> Ask:
    """Sends requests as the account's daemon would: authenticated, and within its limits."""
    clock, rand = tools.clock, SystemRandom()
    budget = Budget(clock, rand, account.limits, requests)
    client = AccountClient(
        tools.wire,
        ClientSettings(account.origin, private_ok, _BODY_LIMIT, _TIMEOUTS, account.origins.declared),
        account.auth.credentials,
        budget,
        named=account.auth.named,
        clock=clock,
    )
    observer = AccountObserver(account.name, Lease(0, 0, clock, math.inf), budget, clock=clock, log=tools.log)
    signed = AuthenticatedClient(
        client, account.auth.session, budget=budget, observer=observer, clock=clock, rand=rand, log=tools.log
    )

    async def ask(request: WireRequest) -> WireReply | Trouble:
        try:
            async with asyncio.timeout(_LONGEST_WAIT_S):
                permit = await budget.admit()
        except TimeoutError:
            return Throttled(f"the account's own limit permitted no request for {_LONGEST_WAIT_S:g} s")
        try:
            return await signed.exchange(request, permit)
        except SignInError as error:
            return error.outcome

    return ask


def _of_addresses(config: Config, tools: _Tools) -> list[Check]:
    """The daemon's own addresses, and the endpoints of notifications."""
    wire, clock, connections = tools.own, tools.clock, tools.connections
    checks: list[Check] = []
    callbacks, http = config.callbacks, config.http
    if callbacks.public_url is not None and callbacks.listen is not None:
        url, listen = callbacks.public_url, host_and_port(callbacks.listen)
        checks.append(
            Check("callbacks", "callbacks", partial(_of_callbacks, url, listen, wire, clock, connections=connections))
        )
    if http.listen is not None and (listen := host_and_port(http.listen))[1]:
        checks.append(
            Check("http", "http", partial(_of_http, http.public_url, listen, wire, clock, connections=connections))
        )
    for name, one in config.notifications.items():
        checks.append(Check("notifications", name, partial(_of_endpoint, name, one, clock, connections)))
    return checks


async def _of_endpoint(
    name: str, table: NotificationTable, clock: Clock, connections: ConnectionSettings, notes: Notes
) -> None:
    """Nothing is sent: the endpoint would read it as a notification."""
    key, permit = f"notifications.{name}.url", f"set notifications.{name}.allow_private = true"
    endpoint, private_ok = NetworkEndpoint.of(table.url), table.private_ok
    await check_endpoint(notes, endpoint, clock, private_ok=private_ok, key=key, permit=permit, connections=connections)


async def _of_callbacks(
    url: str, listen: tuple[str, int], wire: Wire, clock: Clock, notes: Notes, *, connections: ConnectionSettings
) -> None:
    await check_callbacks(notes, url, listen, wire, clock, connections=connections)


async def _of_http(
    url: str | None, listen: tuple[str, int], wire: Wire, clock: Clock, notes: Notes, *, connections: ConnectionSettings
) -> None:
    if await check_http(notes, listen, wire) and url is not None:
        await check_public_url(notes, "http", url, listen, clock, connections=connections)
    elif url is not None:
        await check_name(notes, NetworkEndpoint.of(url), private_ok=True, key="http.public_url")
