"""What a route of the API consists of: its description as a value, its handler, and the context that handlers use.

A route says what it takes and what it returns, so the OpenAPI document describes what is served. A handler reads the
request, calls a service, and renders the result.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.web_response import json_response

from tidewaiter.clock import Clock
from tidewaiter.database.dashboard_store import Dashboard
from tidewaiter.database.job_list import JobList
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.log import EventLog
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.services import AccountService, JobService, ScheduleService
from tidewaiter.storage.base import Storage
from tidewaiter.web.api.body_schemas import Incoming, Outgoing
from tidewaiter.web.api.job_changes import EventFeed, JobWatch
from tidewaiter.web.api.request_input import read_query
from tidewaiter.web.callers import Role
from tidewaiter.web.route_rules import SAFE, GuardedRoute, RouteRule


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What the handlers of the API use.

    The callables return what the current configuration decides, because a reload may replace it. Those that take the
    request return something limited to the accounts that its caller may see. Only ``watch`` and ``feed`` know all jobs;
    their readers apply the limit.
    """

    jobs: Callable[[web.Request], JobService]
    accounts: Callable[[web.Request], AccountService]
    schedules: Callable[[web.Request], ScheduleService]
    providers: Callable[[], Registry]
    job_lists: Callable[[web.Request], JobList]
    overview: Callable[[web.Request], Dashboard]
    storage: Storage
    notifications: Callable[[web.Request], NotificationStore]
    trends: Callable[[web.Request], TrendStore]
    watch: JobWatch
    feed: EventFeed
    clock: Clock
    log: EventLog


QueryParameters: TypeAlias = Mapping[str, Sequence[str]]
"""The parameters of a query, each with its values."""
Handle: TypeAlias = Callable[[web.Request, QueryParameters], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class ApiParameter:
    """A parameter of the query, or a header that a route reads; ``schema`` is its JSON Schema."""

    name: str
    summary: str
    schema: Mapping[str, Any]
    many: bool = False


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response: what its status means, the shape of its JSON body, and its headers with their meaning."""

    meaning: str
    shape: type[Outgoing] | None = None
    media_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiRoute:
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
    responses: Mapping[int, ApiResponse]
    query: Sequence[ApiParameter] = ()
    headers: Sequence[ApiParameter] = ()
    body: type[Incoming] | None = None
    problems: Sequence[int] = ()
    detail: str = ""
    role: Role | None = None
    limited: bool = False

    @property
    def rule(self) -> RouteRule:
        """What the route requires of its caller."""
        default = Role.READ if self.method in SAFE else Role.ADMIN
        return RouteRule(self.role or default, self.limited)


def json_reply(
    document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A reply with a JSON body."""
    return json_response(document, status=status, headers=headers)


def guarded_routes(routes: Iterable[ApiRoute]) -> list[GuardedRoute]:
    """The routes for aiohttp; each refuses unknown query parameters."""
    return [GuardedRoute(one.method, one.path, _served(one), one.rule, one.name) for one in routes]


def _served(route: ApiRoute) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    known = {one.name: one.many for one in route.query}

    async def serve(request: web.Request) -> web.StreamResponse:
        return await route.handle(request, read_query(request, known))

    return serve
