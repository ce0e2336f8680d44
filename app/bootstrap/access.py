"""Who may use the HTTP listener, out of the configuration."""

import ssl
from ipaddress import ip_network
from urllib.parse import urlsplit

from app.clock import Clock
from app.config import Config, host_and_port
from app.config.tables import TokenTable
from app.config.values import epoch_of
from app.domain.scope import EVERY_ACCOUNT, Scope
from app.log import EventLog
from app.store.engine import Database
from app.store.sessions import SessionStore
from app.web.access import Access, AccessSettings
from app.web.callers import Role, Token
from app.web.tls import server_context

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


def _own_names(config: Config) -> set[str]:
    """The names under which the listener may be called."""
    names = {"localhost", "127.0.0.1", "::1"}
    if config.http.listen is not None:
        names.add(host_and_port(config.http.listen)[0].lower())
    if config.http.public_url is not None:
        names.add((urlsplit(config.http.public_url).hostname or "").lower())
    return names
