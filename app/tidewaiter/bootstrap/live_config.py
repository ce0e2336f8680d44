"""A configuration with its accounts bound, and the parts that receive new settings while the process runs.

A reload replaces the configuration as a whole. Each part that uses some of it is listed once, as a
:class:`Reloadable`: the part, and how its settings are read from the configuration. The settings of all parts are
derived before the first part receives its own, so either all of them change or none.

A part declares the settings that it reads: a frozen dataclass or a read-only protocol beside its class, or a single
value. It takes them in its constructor, and again in ``reconfigure``.
"""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tidewaiter.bootstrap.account_binding import bind_accounts, read_schedules, usable_providers
from tidewaiter.bootstrap.start_checks import faults_of_access, faults_of_notifications, read_connections
from tidewaiter.config import Config, ConfigError
from tidewaiter.log import EventLog
from tidewaiter.providers.bound_accounts import faulty_among
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.transport.connection_settings import ConnectionSettings
from tidewaiter.web.tls import identity_of

S_contra = TypeVar("S_contra", contravariant=True)
S = TypeVar("S")


class Reconfigurable(Protocol[S_contra]):
    """A part whose settings can be replaced while it runs."""

    def reconfigure(self, settings: S_contra, /) -> None:
        """Use these settings from now on, and none of the old ones.

        The settings are already checked. This neither waits nor fails, so that all parts change at the same moment.
        """


@dataclass(frozen=True, slots=True)
class BoundConfig:
    """A configuration, its accounts bound to their providers, and every known provider.

    ``certificate`` is a hash of the files of the listener's certificate and key; ``connections`` says
    how outgoing connections are made.
    """

    config: Config
    accounts: Mapping[str, BoundAccount]
    providers: Registry = field(default_factory=lambda: Registry({}))
    certificate: bytes = b""
    connections: ConnectionSettings = field(default_factory=ConnectionSettings)

    @property
    def operations(self) -> dict[str, Collection[str]]:
        """The operations of each account."""
        return {name: account.operations.keys() for name, account in self.accounts.items()}

    def accounts_with_changed_lanes(self, other: "BoundConfig") -> frozenset[str]:
        """The accounts whose lanes have to be built again, including those that only one of the two has."""
        every = {*self.accounts, *other.accounts}
        if _settings_of_every_lane(self.config) != _settings_of_every_lane(other.config):
            return frozenset(every)
        return frozenset(name for name in every if self._settings_of_lane(name) != other._settings_of_lane(name))

    def providers_with_changed_specs(self, other: "BoundConfig") -> tuple[str, ...]:
        """The providers with another spec there, as far as accounts of both configurations use them."""
        both = [name for name in self.accounts if name in other.accounts]
        pairs = [(self.accounts[name].provider, other.accounts[name].provider) for name in both]
        changed = {new.name for old, new in pairs if old.name == new.name and old.source != new.source}
        repaired_or_broken = self._faults_of_specs().items() ^ other._faults_of_specs().items()
        return tuple(sorted({*changed, *(name for name, _ in repaired_or_broken)}))

    def _faults_of_specs(self) -> dict[str, str]:
        """What is wrong with the specs that accounts use, by the names of the providers."""
        return {self.config.accounts[name].provider: reason for name, reason in faulty_among(self.accounts).items()}

    def _settings_of_lane(self, name: str) -> tuple[object, ...] | None:
        if name not in self.accounts:
            return None
        return self.config.accounts[name], self.accounts[name].provider.source


def bind(config: Config) -> BoundConfig:
    """A configuration with its accounts bound, after a check that a daemon can use all of it.

    Raises:
        ConfigError: every fault of accounts, schedules, listeners, tokens and notifications. A faulty spec in a folder
            is none: its accounts are not served.
    """
    connections, faults = read_connections(config)
    faults = (*faults, *faults_of_access(config), *faults_of_notifications(config))
    try:
        providers = usable_providers(config)
        accounts = bind_accounts(config, providers)
        read_schedules(config, accounts)
    except ConfigError as error:
        raise error.with_faults(faults) from None
    if faults:
        raise ConfigError.of(faults)
    return BoundConfig(config, accounts, providers, _certificate_in(config), connections)


def log_faulty_accounts(bound: BoundConfig, log: EventLog) -> None:
    """Write to the log which accounts are not served, because of a faulty spec."""
    for name, reason in sorted(faulty_among(bound.accounts).items()):
        log.emit("account.faulty", account=name, provider=bound.config.accounts[name].provider, reason=reason)


def _certificate_in(config: Config) -> bytes:
    certificate, key = config.http.tls_certificate, config.http.tls_key
    return b"" if certificate is None or key is None else hashlib.sha256(identity_of(certificate, key)).digest()


def _settings_of_every_lane(config: Config) -> tuple[object, ...]:
    return config.worker.polls, config.worker.downloads, config.callbacks.public_url


@dataclass(frozen=True, slots=True)
class Reloadable(Generic[S]):
    """A part that can be reconfigured, and how its settings are derived from the configuration."""

    part: Reconfigurable[S]
    settings: Callable[[BoundConfig], S]

    def ready(self, bound: BoundConfig) -> Callable[[], None]:
        """Derive the settings, which may fail. What is returned hands them to the part, which cannot."""
        return partial(self.part.reconfigure, self.settings(bound))


class LiveConfig:
    """The configuration that the process uses now, and every part that is to be reconfigured with it.

    Read ``bound`` each time. Hold ``changing`` while you build something from it or replace it.

    Args:
        bound: the configuration at the start.
    """

    def __init__(self, bound: BoundConfig) -> None:
        self.bound = bound
        self.changing = asyncio.Lock()
        self._reloadables: list[Reloadable[Any]] = []

    def join(self, *reloadables: Reloadable[Any]) -> None:
        """Reconfigure these parts, too, whenever the configuration is replaced."""
        self._reloadables += reloadables

    def ready(self, bound: BoundConfig) -> Callable[[], None]:
        """Derive the settings of every part; what is returned applies them in all parts at the same moment.

        Raises:
            Exception: settings could not be derived; nothing has changed.
        """
        changes = [one.ready(bound) for one in self._reloadables]

        def apply_all() -> None:
            self.bound = bound
            for apply in changes:
                apply()

        return apply_all

    def replace(self, bound: BoundConfig) -> None:
        """Use this configuration from now on; raises as :meth:`ready` does."""
        self.ready(bound)()
