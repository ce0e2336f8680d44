"""An application behind access control."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from tests.support.log_lines import log_lines
from tests.support.stored_jobs import StandingClock
from tidewaiter.database.engine import Database
from tidewaiter.database.session_store import SessionStore
from tidewaiter.log import configure
from tidewaiter.web.access_control import AccessControl, AccessSettings
from tidewaiter.web.callers import CALLER, CallerToken, Role
from tidewaiter.web.http_server import make_application

READ = "read-token-read-token-read-token"
ADMIN = "admin-token-admin-token-admin"


@dataclass(slots=True)
class ProtectedApp:
    """An application behind the rule of access, its clock, and its log."""

    base: str
    access: AccessControl
    clock: StandingClock
    session: ClientSession
    output: io.StringIO
    errors: list[Exception]
    database: Database

    async def request(
        self, method: str = "GET", path: str = "/thing", **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """A request with these headers: ``_`` stands for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = self.session.request(method, f"{self.base}{path}", headers=named, allow_redirects=False)
        async with reply as answer:
            return answer.status, dict(answer.headers), await answer.text()

    def logged(self, name: str) -> list[dict[str, object]]:
        """The lines of one event."""
        return log_lines(self.output, name)


async def _who(request: web.Request) -> web.Response:
    caller = request[CALLER]
    return web.json_response([caller.name, caller.role.name, caller.in_session])


@asynccontextmanager
async def open_app(url: str, *, with_tokens: bool, proxies: Sequence[str] = ()) -> AsyncIterator[ProtectedApp]:
    """The application; ``proxies`` are the networks of trusted ones."""
    clock, output = StandingClock(), io.StringIO()
    database = Database.open(url, clock)
    log = configure("json", "debug", (), clock=clock, stream=output, strict=True)
    tokens = [CallerToken.of("page", Role.READ, READ), CallerToken.of("boss", Role.ADMIN, ADMIN)] if with_tokens else []
    settings = AccessSettings(tokens, {"127.0.0.1", "tide.example"}, [ip_network(one) for one in proxies])
    access = AccessControl(settings, open_paths={"/healthz"}, clock=clock, log=log, sessions=SessionStore(database))
    routes = [web.get("/thing", _who), web.post("/thing", _who), web.get("/healthz", _who), web.get("/static/x", _who)]
    errors: list[Exception] = []

    async def fail(_: web.Request) -> web.Response:
        raise errors[0]

    routes.append(web.post("/fail", fail))
    application = make_application([*routes, web.get("/login", _who), web.post("/login", _who)], access, log)
    async with TestServer(application, host="127.0.0.1") as server, ClientSession() as session:
        yield ProtectedApp(str(server.make_url("")).rstrip("/"), access, clock, session, output, errors, database)
    log.close()
    await database.close()
