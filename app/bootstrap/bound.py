"""A configuration with its accounts bound: what a daemon is built from, and what replaces it as a whole."""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from app.bootstrap.access import faults_of_access
from app.bootstrap.accounts import bind_accounts, load_providers, read_schedules
from app.bootstrap.notifications import faults_of_notifications
from app.config import Config, ConfigError
from app.providers.provider import BoundAccount
from app.providers.registry import Registry
from app.web.tls import identity_of


@dataclass(frozen=True, slots=True)
class Bound:
    """A configuration, its accounts bound to their providers, and every provider that there is.

    ``certificate`` changes with what is in the files of the listener's certificate and key.
    """

    config: Config
    accounts: Mapping[str, BoundAccount]
    providers: Registry = field(default_factory=lambda: Registry({}))
    certificate: bytes = b""

    @property
    def operations(self) -> dict[str, Collection[str]]:
        """The operations of each account."""
        return {name: account.operations.keys() for name, account in self.accounts.items()}

    def differs_for(self, other: "Bound") -> frozenset[str]:
        """The accounts whose lanes would be built otherwise, those that only one of the two has included."""
        every = {*self.accounts, *other.accounts}
        if _of_every_lane(self.config) != _of_every_lane(other.config):
            return frozenset(every)
        return frozenset(name for name in every if self._of_lane(name) != other._of_lane(name))

    def respecified_in(self, other: "Bound") -> tuple[str, ...]:
        """The providers whose spec is another one there, as far as accounts of both use them."""
        both = [name for name in self.accounts if name in other.accounts]
        pairs = [(self.accounts[name], other.accounts[name]) for name in both]
        return tuple(
            sorted({new.provider for old, new in pairs if old.provider == new.provider and old.source != new.source})
        )

    def _of_lane(self, name: str) -> tuple[object, ...] | None:
        if name not in self.accounts:
            return None
        return self.config.accounts[name], self.accounts[name].source


def bind(config: Config) -> Bound:
    """A configuration with its accounts bound, once it is known that a daemon can work with all of it.

    Raises:
        ConfigError: what is wrong with accounts, their specs, the schedules, the listeners, the tokens and the
            notifications, all at once.
    """
    faults = (*faults_of_access(config), *faults_of_notifications(config))
    try:
        providers = load_providers(config)
        accounts = bind_accounts(config, providers)
        read_schedules(config, accounts)
    except ConfigError as error:
        raise error.joined_by(faults) from None
    if faults:
        raise ConfigError.of(faults)
    return Bound(config, accounts, providers, _certificate_in(config))


def _certificate_in(config: Config) -> bytes:
    certificate, key = config.http.tls_certificate, config.http.tls_key
    return b"" if certificate is None or key is None else hashlib.sha256(identity_of(certificate, key)).digest()


def _of_every_lane(config: Config) -> tuple[object, ...]:
    return config.worker.polls, config.worker.downloads, config.callbacks.public_url


class Running:
    """What the process goes by now.

    Whoever wants to go by the same takes ``bound`` anew each time, or :meth:`follow`s it. ``changing`` is held by
    whoever builds from it or replaces it.

    Args:
        bound: what the process begins with.
    """

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.changing = asyncio.Lock()
        self._followers: list[Callable[[Bound], None]] = []

    def follow(self, told: Callable[[Bound], None]) -> None:
        """Call this with whatever replaces the present one, in the same moment."""
        self._followers.append(told)

    def replace(self, bound: Bound) -> None:
        """Go by this from now on, and tell all who follow."""
        self.bound = bound
        for told in self._followers:
            told(bound)
