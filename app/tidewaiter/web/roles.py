"""Callers of the HTTP listener, and the rule of each route: tokens, roles, limits to accounts.

A route without a rule requires the most: reading takes the role ``read``, anything else ``admin``, and a caller who is
limited to some accounts is refused. A route names a lower role itself. It also says itself that it shows a limited
caller nothing of other accounts.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from aiohttp import hdrs, web

from tidewaiter.domain.permissions import EVERY_ACCOUNT, Scope
from tidewaiter.services import Actor, Channel

API: Final = "/v1/"
"""The prefix of the API. Anything else that changes something is a form of a page."""
SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Methods that change nothing."""
RouteHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Role(IntEnum):
    """What a caller may do; each role includes those before it."""

    NOBODY = 0
    READ = 1
    SUBMIT = 2
    """Submit jobs: single ones, batches, and those of schedules."""
    ADMIN = 3
    """Decide about jobs, accounts and notifications."""


@dataclass(frozen=True, slots=True)
class CallerToken:
    """A bearer token (RFC 6750), stored as its SHA-256.

    ``expires_at`` is in epoch seconds. Two tokens may have the same name, so that one can
    replace the other without a gap.
    """

    name: str
    role: Role
    digest: bytes
    scope: Scope = EVERY_ACCOUNT
    expires_at: float | None = None

    @classmethod
    def of(
        cls, name: str, role: Role, token: str, scope: Scope = EVERY_ACCOUNT, expires_at: float | None = None
    ) -> "CallerToken":
        """The token with this text."""
        return cls(name, role, digest_of(token), scope, expires_at)


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: the name of its token or a substitute, its role, and whether a browser session sent it.

    ``fault`` is why the token that was sent is refused. ``unavailable`` is why the caller could not be identified.
    ``slowed_s`` is for how many seconds no token from its address is checked.
    """

    name: str
    role: Role
    in_session: bool = False
    scope: Scope = EVERY_ACCOUNT
    fault: str | None = None
    unavailable: str | None = None
    slowed_s: float = 0.0


CALLER: Final = web.RequestKey("caller", Caller)
"""The key of a request that holds its caller."""
REASON: Final = web.RequestKey("reason", str)
"""The key of the reason that the caller gave for the action."""


@dataclass(frozen=True, slots=True)
class AccessRecheck:
    """Checks whether a long request would still be permitted."""

    is_permitted: Callable[[], Awaitable[bool]]


REMOTE: Final = web.RequestKey("remote", str)
"""The key of the address of the caller, also behind trusted proxies."""
RECHECK: Final = web.RequestKey("recheck", AccessRecheck)


def scope_of(request: web.Request) -> Scope:
    """The accounts that the caller of a request may see."""
    return request[CALLER].scope


def actor_of(request: web.Request) -> Actor:
    """The actor of a request: through the API, or else through a page."""
    channel = Channel.API if request.path.startswith(API) else Channel.PAGE
    return Actor(request[CALLER].name, channel, request[REMOTE])


def digest_of(token: str) -> bytes:
    """The SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class RouteRule:
    """The role that a route requires, and whether callers who are limited to some accounts may use it."""

    role: Role
    limited: bool


@dataclass(frozen=True, slots=True)
class GuardedRoute(web.AbstractRouteDef):
    """A route with its rule. A GET serves HEAD as well, under the same rule."""

    method: str
    path: str
    handler: RouteHandler
    rule: RouteRule
    name: str | None = None

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        """Add it to the routes of an application."""
        named = {} if self.name is None else {"name": self.name}
        return web.RouteDef(self.method, self.path, self.handler, named).register(router)


def read_route(path: str, handler: RouteHandler) -> GuardedRoute:
    """A route that only reads, and shows callers only their accounts."""
    return GuardedRoute(hdrs.METH_GET, path, handler, RouteRule(Role.READ, limited=True))


def form_route(path: str, handler: RouteHandler, role: Role = Role.ADMIN) -> GuardedRoute:
    """A form that changes something of the caller's accounts."""
    return GuardedRoute(hdrs.METH_POST, path, handler, RouteRule(role, limited=True))


RouteRules: TypeAlias = Mapping[tuple[str, str], RouteRule]
"""The rules of routes, by method and path."""


def rules_of(routes: Iterable[web.AbstractRouteDef]) -> dict[tuple[str, str], RouteRule]:
    """The rules of the routes that have one."""
    return {(one.method, one.path): one.rule for one in routes if isinstance(one, GuardedRoute)}


def rule_for(request: web.Request, rules: RouteRules) -> RouteRule:
    """The rule of the route that serves a request.

    A request without a route ends in 404 or 405, which shows nothing of any account, so limited callers may get it.
    """
    resource = request.match_info.route.resource
    default = Role.READ if request.method in SAFE else Role.ADMIN
    if resource is None:
        return RouteRule(default, limited=True)
    method = hdrs.METH_GET if request.method == hdrs.METH_HEAD else request.method
    return rules.get((method, resource.canonical)) or RouteRule(default, limited=False)
