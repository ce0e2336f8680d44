"""All routes of the API, and the OpenAPI document that is made of them; no part of it is written by hand."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from aiohttp import hdrs, web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tidewaiter import __version__
from tidewaiter.web.api.account_routes import AccountRoutes, ProviderRoutes
from tidewaiter.web.api.archive_routes import ArchiveRoutes
from tidewaiter.web.api.artifact_routes import ArtifactRoutes
from tidewaiter.web.api.backfill_routes import BackfillRoutes
from tidewaiter.web.api.batch_list_routes import BatchListRoutes
from tidewaiter.web.api.batch_routes import BatchRoutes
from tidewaiter.web.api.body_schemas import Incoming, Outgoing, ProblemShape
from tidewaiter.web.api.event_routes import EventRoutes
from tidewaiter.web.api.job_list_routes import JobListRoutes
from tidewaiter.web.api.job_routes import JobRoutes
from tidewaiter.web.api.many_jobs_routes import ManyJobsRoutes
from tidewaiter.web.api.notification_routes import NotificationRoutes
from tidewaiter.web.api.overview_routes import OverviewRoutes
from tidewaiter.web.api.routing import JSON, ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters
from tidewaiter.web.api.schedule_routes import ScheduleRoutes
from tidewaiter.web.api.trend_routes import TrendRoutes
from tidewaiter.web.problems import MEDIA_TYPE

_REF: Final = "#/components/schemas/{model}"
_IN_PATH: Final[Mapping[str, Mapping[str, Any]]] = {
    "id": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    "number": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "name": {"type": "string", "minLength": 1, "maxLength": 64},
}
_EVERYWHERE: Final = (400, 401, 403, 421, 429, 500, 503)
_WITH_BODY: Final = (408, 413, 415, 422)
_MEANINGS: Final = {
    400: "the request cannot be read",
    401: "a token is required, or this one is unknown or has expired",
    403: "this requires another role, or a token that is not limited to some accounts",
    404: "not found",
    408: "the body was not complete in time",
    409: "the current state does not permit it",
    410: "the file is not in the storage any more",
    412: "a condition of the request is not met",
    413: "the body is too large",
    415: "the body is not JSON",
    416: "the file has no such range",
    421: "the listener may be called by its own name only",
    429: "too many wrong tokens, or too many callers wait or read; `Retry-After` says when to try again",
    422: "the body has faults, each with a pointer to it",
    500: "an internal error of Tidewaiter",
    503: "the database cannot be reached; `Retry-After` says when to try again",
}
_ABOUT: Final = (
    "Request slow exports, wait for them, and download their files. Every error is a problem document (RFC 9457). "
    "Reading requires a token with the role `read`, submitting jobs the role `submit`, anything else the role `admin`. "
    "For a token that is limited to some accounts, other accounts do not exist."
)


class OpenApiDocument:
    """The document, and the route that serves it.

    Args:
        routes: the routes that it describes.
    """

    def __init__(self, routes: Sequence[ApiRoute]) -> None:
        self._routes = (*routes, self.route)

    @property
    def route(self) -> ApiRoute:
        """The route of the document."""
        return ApiRoute(
            "GET",
            "/openapi.json",
            "openapi",
            "Show this document",
            self.show,
            {200: ApiResponse("the document", None)},
            limited=True,
        )

    async def show(self, _request: web.Request, _query: QueryParameters) -> web.Response:
        """Send the document."""
        return web.Response(body=self._bytes, content_type=JSON)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The document as a value."""
        paths: dict[str, dict[str, Any]] = {}
        for one in self._routes:
            paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
        return {
            "openapi": "3.1.0",
            "info": {"title": "Tidewaiter", "version": __version__, "description": _ABOUT},
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "schemas": _schemas(self._routes),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }

    @cached_property
    def _bytes(self) -> bytes:
        return json.dumps(self.document, ensure_ascii=False).encode()


def _operation(route: ApiRoute) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": route.name, "summary": route.summary}
    if route.detail:
        made["description"] = route.detail
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH[name]}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters = [
        *in_path,
        *(_parameter(one, "query") for one in route.query),
        *(_parameter(one, "header") for one in route.headers),
    ]
    if parameters:
        made["parameters"] = parameters
    if route.body is not None:
        required = any(one.is_required() for one in route.body.model_fields.values())
        made["requestBody"] = {"required": required, "content": {JSON: {"schema": _reference(route.body)}}}
    made["responses"] = _responses(route)
    return made


def _parameter(one: ApiParameter, where: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": dict(one.schema)} if one.many else dict(one.schema)
    if one.most is not None:
        schema["maxItems"] = one.most
    made = {"name": one.name, "in": where, "description": one.summary, "schema": schema}
    return {**made, "style": "form", "explode": True} if one.many else made


def _responses(route: ApiRoute) -> dict[str, Any]:
    made = {str(status): _response(one) for status, one in route.responses.items()}
    statuses = {*_EVERYWHERE, *route.problems, *(_WITH_BODY if route.body else ())}
    for status in sorted(statuses):
        made[str(status)] = {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": _reference(ProblemShape)}},
        }
    return made


def _response(one: ApiResponse) -> dict[str, Any]:
    made: dict[str, Any] = {"description": one.meaning}
    if one.headers:
        made["headers"] = {
            name: {"description": meaning, "schema": _header_schema(name)} for name, meaning in one.headers.items()
        }
    if one.media_type is not None:
        schema = {} if one.shape is None else {"schema": _reference(one.shape)}
        made["content"] = {one.media_type: schema}
    return made


def _header_schema(name: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1} if name == hdrs.RETRY_AFTER else {"type": "string"}


def _reference(shape: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=shape.__name__)}


def _schemas(routes: Iterable[ApiRoute]) -> dict[str, Any]:
    incoming: set[type[Incoming]] = {one.body for one in routes if one.body is not None}
    outgoing: set[type[Outgoing]] = {ProblemShape}
    outgoing |= {response.shape for one in routes for response in one.responses.values() if response.shape is not None}
    named = sorted(((one, "validation") for one in incoming), key=lambda pair: pair[0].__name__)
    shown = sorted(((one, "serialization") for one in outgoing), key=lambda pair: pair[0].__name__)
    _, schema = models_json_schema([*named, *shown], ref_template=_REF)  # type: ignore[list-item]  # the modes are literals
    found: dict[str, Any] = schema["$defs"]
    return found


def api_routes(context: ApiContext) -> list[ApiRoute]:
    """All routes of the API. The more specific path comes first: ``/v1/jobs/batch`` before ``/v1/jobs/{id}``."""
    groups = (
        BatchRoutes(context),
        JobListRoutes(context),
        JobRoutes(context),
        ManyJobsRoutes(context),
        ArchiveRoutes(context),
        ArtifactRoutes(context),
        BatchListRoutes(context),
        BackfillRoutes(context),
        AccountRoutes(context),
        ScheduleRoutes(context),
        ProviderRoutes(context),
        OverviewRoutes(context),
        TrendRoutes(context),
        NotificationRoutes(context),
        EventRoutes(context),
    )
    routes = [route for group in groups for route in group.routes()]
    return [*routes, OpenApiDocument(routes).route]
