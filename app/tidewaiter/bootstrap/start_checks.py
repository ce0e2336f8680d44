"""Faults of a configuration that its tables cannot see: why a daemon would refuse to start."""

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping

from tidewaiter.bootstrap.account_binding import bind_valid_accounts, faults_of_specs, read_schedules, usable_providers
from tidewaiter.config import Config, ConfigError, ValueSource, host_and_port
from tidewaiter.config.origins import ConfigFault
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.database_mark import missing_file_fault
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.doctor.data_checks import database_file_result, folder_result
from tidewaiter.doctor.findings import CheckResult, CheckStatus
from tidewaiter.storage.base import Storage, StorageSetupError
from tidewaiter.storage.open_storage import open_storage
from tidewaiter.transport.connection_settings import ConnectionSettings, Trust, TrustError
from tidewaiter.transport.proxies import Proxies
from tidewaiter.web.tls import CertificateError, server_context


def faults_of(config: Config) -> tuple[ConfigFault, ...]:
    """The faults of accounts, specs, schedules, listeners and notifications; empty when a daemon could start."""
    return (
        *read_connections(config)[1],
        *_faults_of_accounts(config),
        *faults_of_access(config),
        *faults_of_notifications(config),
    )


def faults_of_machine(config: Config) -> tuple[ConfigFault, ...]:
    """Why a daemon of this user would refuse to start on this machine.

    An extra that is not installed, folders and files that this user may not write to, a lock file that is not the
    daemon's. Nothing is created, and no network is used. A lock that another daemon holds is no fault: a second daemon
    waits for it.
    """
    return (*_faults_of_storage(config), *_faults_of_database_file(config))


def check_machine(config: Config) -> None:
    """Check this machine before a daemon starts on it.

    Raises:
        StoreUnavailableError: :func:`faults_of_machine` has found something; the message has a line for each.
    """
    faults = faults_of_machine(config)
    if faults:
        raise StoreUnavailableError("\n".join(map(str, faults)))


@contextlib.contextmanager
def configured_storage(config: Config) -> Iterator[Storage]:
    """The storage of the configuration.

    Raises:
        ConfigError: its options cannot be used, or it needs an extra that is not installed.
    """
    with contextlib.ExitStack() as stack:
        try:
            opened = open_storage(config.storage.root, config.storage.url, bucket_options(config))
            storage = stack.enter_context(opened)
        except StorageSetupError as error:
            raise ConfigError.of([config.fault_at("storage", "url", reason=str(error))]) from None
        yield storage


def _faults_of_storage(config: Config) -> tuple[ConfigFault, ...]:
    try:
        with configured_storage(config):
            pass
    except ConfigError as error:
        return error.faults
    root = config.storage.root
    return () if root is None else _faults_in(config, folder_result(root), "storage", "root")


def _faults_of_database_file(config: Config) -> tuple[ConfigFault, ...]:
    file, lock = DatabaseAddress.parse(config.database.url).file, DaemonLock.of(config.database.url)
    if file is None or lock is None:
        return ()
    faults = _faults_in(config, database_file_result(file), "database", "url")
    if faults:
        return faults
    try:
        lock.is_held()
    except StoreUnavailableError as error:
        return (config.fault_at("database", "url", reason=str(error).rstrip(".")),)
    return ()


def faults_of_served_file(config: Config) -> tuple[ConfigFault, ...]:
    """Why a daemon would refuse a database file that is missing or empty; the file is not opened."""
    if _faults_of_database_file(config):
        return ()
    reason = missing_file_fault(config.database.url)
    return () if reason is None else (config.fault_at("database", "url", reason=reason.rstrip(".")),)


def _faults_in(config: Config, found: CheckResult, *key: str) -> tuple[ConfigFault, ...]:
    if found.status is not CheckStatus.FAILURE:
        return ()
    return (config.fault_at(*key, reason=f"{found.message}; {found.remedy}"),)


def read_connections(config: Config) -> tuple[ConnectionSettings, tuple[ConfigFault, ...]]:
    """How outgoing connections are made, and why the configured authorities or proxies cannot be used, if so.

    One reading does both, so that what was checked is what is used.
    """
    faults: list[ConfigFault] = []
    proxies = Proxies()
    try:
        trust = Trust.of(config.network.ca_file)
    except TrustError as error:
        trust = Trust()
        faults.append(config.fault_at("network", "ca_file", reason=str(error)))
    try:
        proxies = config.proxies
    except ValueError as error:
        faults.append(config.fault_at("network", "proxy", reason=f"takes the environment's proxies, but {error}"))
    if config.network.source_address is not None and config.storage.url is not None:
        # object_store, which obstore is made of, has no such option: ClientConfigKey in its client/mod.rs.
        reason = (
            "cannot be used with a bucket, whose library leaves the choice of the address to the system; set it in the "
            "system's routes instead (`ip route ... src ADDRESS`), and remove the key"
        )
        faults.append(config.fault_at("network", "source_address", reason=reason))
    return ConnectionSettings(trust, proxies, config.network.source_address), tuple(faults)


def connections_of(config: Config) -> ConnectionSettings:
    """How outgoing connections are made.

    Raises:
        ConfigError: the configured authorities or proxies cannot be used.
    """
    connections, faults = read_connections(config)
    if faults:
        raise ConfigError.of(faults)
    return connections


def bucket_options(config: Config) -> Mapping[str, str | bool]:
    """The options of the bucket, with the proxy of ``[network]`` unless they name another one.

    Raises:
        ConfigError: the configured proxies cannot be used.
    """
    given = config.storage.options.given
    if config.storage.url is None:
        return given
    proxies = connections_of(config).proxies
    is_plain = str(given.get("endpoint", "")).startswith("http:")
    proxy = proxies.http if is_plain else proxies.https
    if proxy is None or "proxy_url" in given:
        return given
    return {**given, "proxy_url": proxy.full_url, "proxy_excludes": proxies.for_buckets}


def _faults_of_accounts(config: Config) -> tuple[ConfigFault, ...]:
    faults: list[ConfigFault] = []
    try:
        registry = usable_providers(config)
        faults += (fault for ones in faults_of_specs(registry).values() for fault in ones)
        accounts, of_accounts = bind_valid_accounts(config, registry)
        faults += of_accounts
        read_schedules(config, accounts)
    except ConfigError as error:
        faults += error.faults
    return tuple(faults)


def faults_of_access(config: Config) -> tuple[ConfigFault, ...]:
    """The faults of the listener's address, its certificate and its tokens."""
    return (*_faults_of_address(config), *_faults_of_certificate(config), *_faults_of_tokens(config))


def _faults_of_address(config: Config) -> list[ConfigFault]:
    if config.http.listen is None:
        if config.http.public_url is None:
            return []
        reason = "needs http.listen as well: an address to listen on, such as 127.0.0.1:8090"
        return [config.fault_at("http", "public_url", reason=reason)]
    if config.http.listen == config.callbacks.listen:
        reason = "is already the address for callbacks; use another port"
        return [config.fault_at("http", "listen", reason=reason)]
    if config.tokens or is_loopback(host_and_port(config.http.listen)[0]):
        return []
    reason = "can be reached from other machines, so a token is needed: add [tokens.NAME] with a token_file"
    return [config.fault_at("http", "listen", reason=reason)]


def _faults_of_certificate(config: Config) -> list[ConfigFault]:
    certificate, key = config.http.tls_certificate, config.http.tls_key
    if certificate is None and key is None:
        return []
    if certificate is None or key is None:
        there, lacking = ("tls_key", "tls_certificate") if certificate is None else ("tls_certificate", "tls_key")
        return [config.fault_at("http", there, reason=f"needs http.{lacking} as well: the path of its other half")]
    try:
        server_context(certificate, key)
    except CertificateError as error:
        return [config.fault_at("http", "tls_key" if error.is_key else "tls_certificate", reason=str(error))]
    return []


def _faults_of_tokens(config: Config) -> list[ConfigFault]:
    faults: list[ConfigFault] = []
    seen: dict[str, str] = {}
    for name, one in config.tokens.items():
        for key, text in (("token", one.token), ("next_token", one.next_token)):
            if text is None:
                continue
            if config.origin_of("tokens", name, key).source is not ValueSource.SECRET_FILE:
                reason = f'is read from a file only: write {key}_file = "/path/of/it"'
                faults.append(config.fault_at("tokens", name, key, reason=reason))
            if text in seen:
                reason = f"is the same as that of {seen[text]}; each has its own"
                faults.append(config.fault_at("tokens", name, key, reason=reason))
            seen[text] = name
        for account in one.accounts or ():
            if account not in config.accounts:
                known = ", ".join(sorted(config.accounts)) or "none is configured"
                reason = f"names the account {account!r}, which is not configured; configured: {known}"
                faults.append(config.fault_at("tokens", name, "accounts", reason=reason))
    return faults


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def faults_of_notifications(config: Config) -> tuple[ConfigFault, ...]:
    """Endpoints that name an unknown account."""
    known = ", ".join(sorted(config.accounts)) or "none"
    return tuple(
        config.fault_at(
            "notifications", name, "accounts", reason=f"{account!r} is no configured account (configured: {known})"
        )
        for name, one in config.notifications.items()
        for account in one.accounts or ()
        if account not in config.accounts
    )
