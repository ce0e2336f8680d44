"""Who may use the HTTP listener, out of the configuration."""

import ipaddress
import ssl
from ipaddress import ip_network
from urllib.parse import urlsplit

from app.clock import Clock
from app.config import Config, Source, host_and_port
from app.config.faults import Fault
from app.config.tables import TokenTable
from app.config.values import epoch_of
from app.domain.scope import EVERY_ACCOUNT, Scope
from app.log import EventLog
from app.store.engine import Database
from app.store.sessions import SessionStore
from app.web.access import Access, AccessSettings
from app.web.callers import Role, Token
from app.web.tls import CertificateError, server_context

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_ROLES = {"read": Role.READ, "submit": Role.SUBMIT, "admin": Role.ADMIN}


def bind_access(config: Config, clock: Clock, log: EventLog, database: Database) -> Access:
    """The rule of access; the configuration was looked over by :func:`faults_of_access`."""
    return Access(
        access_settings(config),
        open_paths=_OPEN_PATHS,
        clock=clock,
        log=log,
        sessions=SessionStore(database.for_lookers),
    )


def access_settings(config: Config) -> AccessSettings:
    """Who may use the listener, by a configuration that :func:`faults_of_access` found nothing wrong with."""
    return AccessSettings(
        _tokens(config), _own_names(config), tuple(ip_network(one) for one in config.http.trusted_proxies)
    )


def _tokens(config: Config) -> list[Token]:
    return [
        Token.of(
            name, _ROLES[one.role], text, _scope(one), None if one.expires_at is None else epoch_of(one.expires_at)
        )
        for name, one in config.tokens.items()
        for text in (one.token, one.next_token)
        if text is not None
    ]


def _scope(token: TokenTable) -> Scope:
    return EVERY_ACCOUNT if token.accounts is None else Scope(frozenset(token.accounts))


def faults_of_access(config: Config) -> tuple[Fault, ...]:
    """What is wrong with the listener's address and its tokens."""
    return (*_faults_of_address(config), *_faults_of_certificate(config), *_faults_of_tokens(config))


def _faults_of_address(config: Config) -> list[Fault]:
    if config.http.listen is None:
        if config.http.public_url is None:
            return []
        reason = "wants http.listen beside it: an address to listen on, such as 127.0.0.1:8090"
        return [config.fault_at("http", "public_url", reason=reason)]
    if config.http.listen == config.callbacks.listen:
        reason = "is the address for callbacks already; the two are kept apart"
        return [config.fault_at("http", "listen", reason=reason)]
    if config.tokens or is_loopback(host_and_port(config.http.listen)[0]):
        return []
    reason = "can be reached from other machines, so a token is needed: add [tokens.NAME] with a token_file"
    return [config.fault_at("http", "listen", reason=reason)]


def _faults_of_certificate(config: Config) -> list[Fault]:
    certificate, key = config.http.tls_certificate, config.http.tls_key
    if certificate is None and key is None:
        return []
    if certificate is None or key is None:
        there, lacking = ("tls_key", "tls_certificate") if certificate is None else ("tls_certificate", "tls_key")
        return [config.fault_at("http", there, reason=f"wants http.{lacking} beside it: the path of its other half")]
    try:
        server_context(certificate, key)
    except CertificateError as error:
        return [config.fault_at("http", "tls_key" if error.is_key else "tls_certificate", reason=str(error))]
    return []


def certificate_settings(config: Config) -> ssl.SSLContext | None:
    """The certificate that the listener shows where it speaks TLS, as a context.

    Raises:
        CertificateError: a file cannot be used; :func:`faults_of_access` says so before, unless it changed since.
    """
    if config.http.tls_certificate is None or config.http.tls_key is None:
        return None
    return server_context(config.http.tls_certificate, config.http.tls_key)


def is_secure(config: Config) -> bool:
    """Whether browsers come by https."""
    return config.http.tls_certificate is not None or (config.http.public_url or "").startswith("https:")


def _faults_of_tokens(config: Config) -> list[Fault]:
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    for name, one in config.tokens.items():
        for key, text in (("token", one.token), ("next_token", one.next_token)):
            if text is None:
                continue
            if config.origin_of("tokens", name, key).source is not Source.SECRET_FILE:
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
    """Whether an address to listen on is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_names(config: Config) -> set[str]:
    """The names under which the listener may be called."""
    names = {"localhost", "127.0.0.1", "::1"}
    if config.http.listen is not None:
        names.add(host_and_port(config.http.listen)[0].lower())
    if config.http.public_url is not None:
        names.add((urlsplit(config.http.public_url).hostname or "").lower())
    return names
