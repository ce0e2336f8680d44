"""A provider of exports over HTTP that counts POSTs by job, and kills its client at one moment."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

CONTENT: Final = b"".join(b'{"row": %d, "text": "%s"}\n' % (1000 + row, b"x" * 998) for row in range(1024))
"""Rows as Python writes them, so that a peer which parses them and writes them again makes the same file."""
_CHUNK: Final = len(CONTENT) // 8


class Moment(Enum):
    """When the worker is killed."""

    BEFORE_POST = "before the POST takes effect"
    AFTER_POST = "after the POST, before its answer"
    BETWEEN_POLLS = "between polls"
    IN_DOWNLOAD = "in a download"
    BEFORE_COMMIT = "after the file is there, before the end is stored"


@dataclass(slots=True)
class Provider:
    """One job's provider; ``kill`` ends the worker once, at ``moment``, ``landed`` finds files under final names.

    The export is ready ``build_s`` after it was made.
    """

    moment: Moment
    kill: Callable[[], None]
    landed: Callable[[], list[Path]]
    build_s: float
    posts: dict[str, int] = field(default_factory=dict)
    exports: dict[str, dict[str, str]] = field(default_factory=dict)
    ready_at: dict[str, float] = field(default_factory=dict)
    polls: int = 0
    downloads: int = 0
    killed_at: float | None = None
    asked_again_at: float | None = None
    origin: str = ""

    def app(self) -> web.Application:
        """The HTTP application."""

        @web.middleware
        async def seen(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self.killed_at is not None and self.asked_again_at is None:
                self.asked_again_at = _now()
            return await handler(request)

        app = web.Application(middlewares=[seen])
        app.add_routes(
            [
                web.post("/exports", self._make),
                web.get("/exports", self._list),
                web.get("/exports/{name}", self._status),
                web.delete("/exports/{name}", self._delete),
                web.get("/files/{name}/0", self._file),
            ]
        )
        return app

    def _die(self, moment: Moment) -> bool:
        if self.moment is not moment or self.killed_at is not None:
            return False
        self.killed_at = _now()
        self.kill()
        return True

    async def _make(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if self._die(Moment.BEFORE_POST):
            return web.Response(status=503)
        self.posts[asked["job"]] = self.posts.get(asked["job"], 0) + 1
        name = f"e{len(self.exports)}"
        self.exports[name] = {"id": name, "marker": asked["marker"]}
        self.ready_at[name] = _now() + self.build_s
        self._die(Moment.AFTER_POST)
        return web.json_response({"id": name}, status=201)

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"exports": list(self.exports.values())})

    async def _status(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.exports:
            return web.Response(status=404)
        self.polls += 1
        if self.polls == 2:
            asyncio.get_running_loop().call_later(0.3, self._die, Moment.BETWEEN_POLLS)
        if _now() < self.ready_at[name]:
            return web.json_response({"status": "working"})
        files = [{"url": f"{self.origin}/files/{name}/0", "name": "part-0.csv"}]
        return web.json_response({"status": "ready", "files": files})

    async def _delete(self, request: web.Request) -> web.Response:
        return web.Response(status=204 if self.exports.pop(request.match_info["name"], None) else 404)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self.downloads += 1
        response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT)), "ETag": '"one"'})
        await response.prepare(request)
        for at in range(0, len(CONTENT), _CHUNK):
            await response.write(CONTENT[at : at + _CHUNK])
            await asyncio.sleep(0.05)
            if at == 4 * _CHUNK and self._die(Moment.IN_DOWNLOAD):
                break
        if self.moment is Moment.BEFORE_COMMIT and self.killed_at is None:
            asyncio.get_running_loop().create_task(self._kill_when_landed()).add_done_callback(lambda _: None)
        return response

    async def _kill_when_landed(self) -> None:
        while not self.landed():  # noqa: ASYNC110  # another process makes the file
            await asyncio.sleep(0)
        self._die(Moment.BEFORE_COMMIT)


def _now() -> float:
    return asyncio.get_running_loop().time()
