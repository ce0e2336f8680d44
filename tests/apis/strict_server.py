"""What the strict servers share: each is written from its API's documentation alone, and refuses whatever is not in it.

They know nothing of the emulators. A request that the documentation does not have is answered with 400 and kept in
``wrong``, which every test expects to be empty.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class UndocumentedError(Exception):
    """A request that the documentation does not have; the message says what is wrong with it."""


@dataclass
class StrictServer:
    """A server that counts what it was asked: ``asked`` has method and path with query, ``bodies`` what came along."""

    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def app(self) -> web.Application:
        """The server as an application."""

        @web.middleware
        async def strictly(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._strictly(request, handler)

        app = web.Application(middlewares=[strictly])
        self.add_routes(app.router)
        return app

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add what is documented."""
        raise NotImplementedError

    async def _strictly(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path_qs}")
        try:
            self.check(request)
            return await handler(request)
        except UndocumentedError as error:
            self.wrong.append(f"{request.method} {request.path_qs}: {error}")
            return web.json_response({"strict": str(error)}, status=400)
        except web.HTTPException as error:
            if error.status in (404, 405):
                self.wrong.append(f"{request.method} {request.path_qs}: {error.status}")
            raise

    def check(self, request: web.Request) -> None:
        """Check what holds for every request; raises :class:`UndocumentedError`."""

    async def json_of(self, request: web.Request, shape: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object of a request; ``shape`` has the members that may be there, each with its type or table."""
        if request.content_type != "application/json":
            raise UndocumentedError(f"the body is {request.content_type}")
        try:
            body = json.loads(await request.read())
        except ValueError as error:
            raise UndocumentedError("the body is no JSON") from error
        _conforms(body, shape, "body")
        self.bodies.append(body)
        found: dict[str, Any] = body
        return found


def only(request: web.Request, *keys: str) -> None:
    """Check that the query has no other keys, and none twice; raises :class:`UndocumentedError`."""
    unknown = set(request.query) - set(keys)
    if unknown or len(request.query) != len(set(request.query)):
        raise UndocumentedError(f"the query has {sorted(request.query)}, and only {sorted(keys)} are documented")


def _conforms(value: object, shape: Any, at: str) -> None:
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise UndocumentedError(f"{at} is no array")
        for number, item in enumerate(value):
            _conforms(item, shape[0], f"{at}[{number}]")
    elif isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise UndocumentedError(f"{at} is no object")
        for name, item in value.items():
            if name not in shape:
                raise UndocumentedError(f"{at}.{name} is not documented")
            _conforms(item, shape[name], f"{at}.{name}")
    elif not isinstance(value, shape) or (isinstance(value, bool) and shape is not bool):
        raise UndocumentedError(f"{at} is {value!r}, and {shape} is documented")
