"""Reloading: the configuration is read again while the daemon runs, checked whole, and replaced whole or not at all.

Nothing changes before everything was checked: file, environment and secret files are read, accounts bound, schedules
and access checked, every lane that will be built is built once on trial, and the settings of every reloadable part are
derived. From then on only the database can fail, and the replacement waits for it, as everything else does. If
something else fails, the old configuration is put back; if even that fails the daemon ends, because half a
daemon is worse than none.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from tidewaiter.bootstrap.account_binding import secrets_of
from tidewaiter.bootstrap.daemon_assembly import Assembled
from tidewaiter.bootstrap.live_config import BoundConfig, LiveConfig, bind, log_faulty_accounts
from tidewaiter.bootstrap.start_checks import faults_of
from tidewaiter.clock import Clock
from tidewaiter.config import ConfigError, load
from tidewaiter.config.changes import changes_between
from tidewaiter.database.account_store import AccountStore
from tidewaiter.database.engine import Database, StoreUnavailableError
from tidewaiter.log import EventLog
from tidewaiter.providers.bound_accounts import faulty_among
from tidewaiter.worker.lane_ownership import LanePlan

_STORE_RETRY_S = 1.0


class HalfReplacedError(Exception):
    """Neither the new configuration nor the old one could be applied: the daemon must end, to be restarted."""


class Reloader:
    """Replaces the configuration that the process uses.

    Args:
        running: the configuration in use; it is read again from the same file.
        environ: the environment.
        database: counts the jobs of removed accounts.
        clock: the time.
        log: receives the result.
    """

    def __init__(
        self, running: LiveConfig, environ: Mapping[str, str], database: Database, clock: Clock, log: EventLog
    ) -> None:
        self._running = running
        self._environ = environ
        self._accounts = AccountStore(database)
        self._clock = clock
        self._log = log
        self._assembled: Assembled | None = None

    def begin(self, assembled: Assembled) -> None:
        """There is a daemon from now on, whose lanes each new configuration replaces."""
        self._assembled = assembled
        self._running.join(*assembled.reloadables)

    @asynccontextmanager
    async def on_request(self, asked: asyncio.Event, stop: asyncio.Event) -> AsyncIterator[asyncio.Task[None]]:
        """Reload whenever ``asked`` is set, until ``stop`` is; several requests in a row are served by one reload.

        Yields:
            The task that reloads. One that dies sets ``stop``.
        """
        serving = asyncio.create_task(self._serve(asked))
        serving.add_done_callback(lambda _: stop.set())
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: serving.cancel())
        try:
            yield serving
        finally:
            stopped.cancel()
            serving.cancel()
            await asyncio.wait((serving, stopped))

    async def _serve(self, asked: asyncio.Event) -> None:
        while True:
            await asked.wait()
            asked.clear()
            async with self._running.changing:
                await self._reload()

    async def _reload(self) -> None:
        """Use the new configuration, or log what is wrong with it."""
        began_at = self._clock.monotonic()
        try:
            await self._replace(await self._read(), began_at)
        except ConfigError as error:
            for fault in error.faults:
                self._log.emit("config.refused", file=fault.origin, key=fault.key or None, reason=fault.reason)
        except HalfReplacedError:
            raise
        except Exception as error:  # noqa: BLE001  # after any error the daemon keeps its present configuration
            file = str(self._running.bound.config.path)
            self._log.emit("config.refused", file=file, reason=f"{type(error).__name__}: {error}")

    async def _read(self) -> BoundConfig:
        """The new configuration, which a daemon could start with.

        Raises:
            ConfigError: with every fault.
        """
        path = self._running.bound.config.path
        try:
            config = await asyncio.to_thread(load, path, self._environ)
        except ConfigError as error:
            if error.rest is None:
                raise
            self._log.add_secrets(error.rest.secrets)
            raise error.with_faults(await asyncio.to_thread(faults_of, error.rest)) from None
        self._log.add_secrets(config.secrets)
        return await asyncio.to_thread(bind, config)

    async def _replace(self, new: BoundConfig, began_at: float) -> None:
        old = self._running.bound
        changes = changes_between(old.config, new.config)
        if changes.kept:
            # The old values that stay must fit the new ones.
            new = await asyncio.to_thread(bind, changes.config)
        self._log.add_secrets(secrets_of(new.config, new.accounts))
        if changes.kept:
            self._log.emit("config.kept", keys=list(changes.kept))
        specs = old.providers_with_changed_specs(new)
        changed = list(changes.changed)
        if new.certificate != old.certificate and "http.tls_certificate" not in changed:
            changed.append("http.tls_certificate")  # another one in the same file
        if new.connections.trust != old.connections.trust and "network.ca_file" not in changed:
            changed.append("network.ca_file")
        lanes = await self._replace_everywhere(old, new) if changed or specs else 0
        self._log.emit(
            "config.reloaded",
            changed=changed,
            origins=list(changes.origins) or None,
            specs=list(specs) or None,
            lanes=lanes,
            took_s=round(self._clock.monotonic() - began_at, 3),
        )
        log_faulty_accounts(new, self._log)
        await self._log_removed(old, new)

    async def _replace_everywhere(self, old: BoundConfig, new: BoundConfig) -> int:
        """Replace the old configuration everywhere; returns how many lanes were drained for that."""
        if self._assembled is None:
            self._running.replace(new)
            return 0
        changed_accounts = old.accounts_with_changed_lanes(new)
        before = await self._prepared(self._assembled, old, ())
        plan = await self._prepared(self._assembled, new, changed_accounts)
        # Both are derived before either is applied, so that going back needs no file that may have changed.
        forward, back = self._running.ready(new), self._running.ready(old)
        try:
            forward()
            return await self._assembled.daemon.replace_lanes(plan, changed_accounts)
        except Exception as error:
            try:
                back()
                await self._assembled.daemon.replace_lanes(before, changed_accounts)
            except Exception as again:
                raise HalfReplacedError(f"{error}; putting the old configuration back: {again}") from again
            raise

    async def _prepared(self, assembled: Assembled, bound: BoundConfig, changed: Collection[str]) -> LanePlan:
        """The lanes for a configuration, as soon as the database can be used: an outage is no fault of the file."""
        while True:
            try:
                return await assembled.prepare(bound, changed)
            except StoreUnavailableError as error:
                self._log.emit("store.unavailable", reason=str(error), waiting=0)
                await self._clock.sleep(_STORE_RETRY_S)

    async def _log_removed(self, old: BoundConfig, new: BoundConfig) -> None:
        removed = sorted(old.accounts.keys() - new.accounts.keys() - faulty_among(new.accounts).keys())
        if not removed:
            return
        try:
            live = await self._accounts.live_jobs()
        except StoreUnavailableError as error:
            self._log.emit("store.unavailable", reason=str(error), waiting=0)
            return
        for name in removed:
            if jobs := sum(live.get(name, {}).values()):
                self._log.emit("account.vanished", account=name, jobs=jobs)
