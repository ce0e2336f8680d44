"""Routes as values: each says what it takes and what it returns, so that the documentation describes what is served."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.web_response import json_response

from app.web.api.reading import read_query
from app.web.api.shapes import Incoming, Outgoing
from app.web.callers import Role
from app.web.rules import SAFE, GuardedRoute, Rule

Query: TypeAlias = Mapping[str, Sequence[str]]
"""The parameters of a query, each with its values."""
Handle: TypeAlias = Callable[[web.Request, Query], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header that a route reads; ``schema`` is its JSON Schema."""

    name: str
    summary: str
    schema: Mapping[str, Any]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: what its status means, the shape of its JSON body, and its headers with their meaning."""

    meaning: str
    shape: type[Outgoing] | None = None
    media_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    ``problems`` are the statuses of problem documents beyond those that every route has. ``role`` is the required role
    if it is not the default of the method. ``limited`` permits callers who are limited to some accounts: the route
    shows and changes nothing of other accounts.
    """

    method: str
    path: str
    name: str
    summary: str
    handle: Handle
    answers: Mapping[int, Answer]
    query: Sequence[Parameter] = ()
    headers: Sequence[Parameter] = ()
    body: type[Incoming] | None = None
    problems: Sequence[int] = ()
    detail: str = ""
    role: Role | None = None
    limited: bool = False

    @property
    def rule(self) -> Rule:
        """What the route requires of its caller."""
        default = Role.READ if self.method in SAFE else Role.ADMIN
        return Rule(self.role or default, self.limited)


def answer(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A reply with a JSON body."""
    return json_response(document, status=status, headers=headers)


def serve_routes(routes: Iterable[Route]) -> list[GuardedRoute]:
    """The routes for aiohttp; each refuses unknown query parameters."""
    return [GuardedRoute(one.method, one.path, _served(one), one.rule, one.name) for one in routes]


def _served(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    known = {one.name: one.many for one in route.query}

    async def serve(request: web.Request) -> web.StreamResponse:
        return await route.handle(request, read_query(request, known))

    return serve
