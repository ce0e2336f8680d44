"""Warnings about a configuration that is valid but risky; only this machine's files are looked at."""

import stat
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tidewaiter.config.config_tables import Config
from tidewaiter.config.origins import ConfigFault, ValueSource
from tidewaiter.config.show import Shown, effective
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.sqlite_files import is_over_network, kind_of
from tidewaiter.domain.networks import metadata_around
from tidewaiter.providers.spec.value_spec import SettingSpec

# Container engines mount secrets there, most often readable for all users: the container has no others.
_OF_CONTAINERS: Final = (Path("/run/secrets"), Path("/var/run/secrets"))


def config_warnings(config: Config, specs: Mapping[str, Mapping[str, SettingSpec]]) -> tuple[ConfigFault, ...]:
    """Every warning; ``specs`` are the settings that each provider knows, by its name."""
    return (
        *_nothing_to_do(config),
        *_readable_secrets(config, effective(config, specs, str), specs),
        *_readable_key(config),
        *_database_over_network(config),
        *_unencrypted(config),
        *_private_addresses(config),
    )


def _nothing_to_do(config: Config) -> Iterator[ConfigFault]:
    if not config.accounts:
        yield config.fault_at(
            "accounts", reason="there are none, so a daemon has nothing to do; `tidewaiter config init`"
        )


def _readable_secrets(
    config: Config, values: Iterator[Shown], specs: Mapping[str, Mapping[str, SettingSpec]]
) -> Iterator[ConfigFault]:
    reported: set[tuple[str, tuple[str, ...]]] = set()
    for shown in values:
        if _is_unknown(config, shown, specs):
            continue
        is_password = shown.key == ("database", "url") and "***" in str(shown.value)
        if not (shown.hidden or is_password) or shown.origin.source not in (ValueSource.FILE, ValueSource.SECRET_FILE):
            continue
        path = Path(shown.origin.name)
        whose = (shown.origin.name, shown.key[:2])  # an account, a token: each once, though they may share a file
        if whose not in reported and _all_may_read(path):
            reported.add(whose)
            reason = f"the file holds a secret, and every user of this machine may read it; chmod o-r {path}"
            yield config.fault_at(*shown.key, reason=reason)


def _is_unknown(config: Config, shown: Shown, specs: Mapping[str, Mapping[str, SettingSpec]]) -> bool:
    """Whether nobody can say that it is a secret: the provider does not know the setting, which is a fault itself."""
    match shown.key:
        case ("accounts", account, "settings", name) if shown.origin.source is ValueSource.FILE:
            return name not in specs.get(config.accounts[account].provider, {})
    return False


def _readable_key(config: Config) -> Iterator[ConfigFault]:
    key = config.http.tls_key
    if key is not None and _all_may_read(key):
        reason = f"every user of this machine may read the private key; chmod o-r {key}"
        yield config.fault_at("http", "tls_key", reason=reason)


def _all_may_read(path: Path) -> bool:
    if any(path.is_relative_to(folder) for folder in _OF_CONTAINERS):
        return False
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:  # it was read before, and is deleted or unreadable now
        return False


def _database_over_network(config: Config) -> Iterator[ConfigFault]:
    file = DatabaseAddress.parse(config.database.url).file
    kind = None if file is None else kind_of(file)
    if kind is not None and is_over_network(kind):
        reason = (
            f"{file} is on a network file system ({kind}), where SQLite's locks are not reliable; "
            "put it on a disk of this machine, or use PostgreSQL"
        )
        yield config.fault_at("database", "url", reason=reason)


def _unencrypted(config: Config) -> Iterator[ConfigFault]:
    if _is_plain(config.callbacks.public_url):
        reason = "is plain http: anyone on the network can make jobs due; put a proxy with TLS in front of it"
        yield config.fault_at("callbacks", "public_url", reason=reason)
    if config.storage.options.allow_http:
        reason = "lets files travel unencrypted; remove it once the endpoint has TLS"
        yield config.fault_at("storage", "options", "allow_http", reason=reason)
    for name, account in config.accounts.items():
        for key, value in account.settings.items():
            if isinstance(value, str) and _is_plain(value):
                reason = "is plain http: the account's credentials travel unencrypted; use https"
                yield config.fault_at("accounts", name, "settings", key, reason=reason)
    for name, notification in config.notifications.items():
        if _is_plain(notification.url):
            reason = "is plain http: anyone on the network can read notifications, but not change them; use https"
            yield config.fault_at("notifications", name, "url", reason=reason)


def _is_plain(url: str | None) -> bool:
    """Whether an address is http and on another machine."""
    if url is None or not url.lower().startswith("http://"):
        return False
    host = urlsplit(url).hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _private_addresses(config: Config) -> Iterator[ConfigFault]:
    for name, account in config.accounts.items():
        if account.allow_private is True:
            reason = (
                "lets this provider's replies send requests anywhere in your network; name the provider's networks "
                "instead, or remove it if the provider is public"
            )
            yield config.fault_at("accounts", name, "allow_private", reason=reason)
        for network in account.private_ok if isinstance(account.private_ok, tuple) else ():
            if metadata_around(network) is not None:
                reason = f"permits {network}, where a cloud gives this machine its credentials; remove it"
                yield config.fault_at("accounts", name, "allow_private", reason=reason)
