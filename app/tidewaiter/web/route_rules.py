"""What each route requires of its caller. A route without a rule requires the most."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import hdrs, web

from tidewaiter.web.callers import Role

SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Methods that change nothing."""


RouteHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
