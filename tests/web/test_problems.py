"""Problem documents: each lower error has its status, and an internal error reveals nothing."""

import io
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestServer

from tests.support.stored_jobs import StandingClock
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.session_store import SessionStore
from tidewaiter.log import configure
from tidewaiter.services import ConflictError, NotFoundError, RequestError
from tidewaiter.web.access_control import AccessControl, AccessSettings
from tidewaiter.web.http_server import make_application
from tidewaiter.web.problems import FieldFault, ProblemError

ERRORS: dict[str, Exception] = {
    "found": NotFoundError("there is no job 7"),
    "conflict": ConflictError("it has ended"),
    "request": RequestError("no"),
    "store": StoreUnavailableError("The database is held by another program."),
    "large": web.HTTPRequestEntityTooLarge(10, 11),
    "moved": web.HTTPSeeOther("/elsewhere"),
    "ours": ZeroDivisionError("secret detail"),
    "own": ProblemError(
        418,
        "I am a teapot",
        errors=[FieldFault("is short", "/a~1b"), FieldFault("is long", parameter="limit")],
        headers={"X-Pot": "1"},
        retry_after_s=1.2,
    ),
}


@pytest.fixture
async def place(sqlite_url: str) -> AsyncIterator[tuple[str, ClientSession, io.StringIO]]:
    """An application that raises what its path says: its address, a caller, and its log."""
    clock, output = StandingClock(), io.StringIO()
    log = configure("json", "debug", (), clock=clock, stream=output, strict=True)

    async def fail(request: web.Request) -> web.Response:
        if request.match_info["what"] == "gone":
            assert request.transport is not None
            request.transport.close()
            raise ConnectionResetError("Cannot write to closing transport")
        raise ERRORS[request.match_info["what"]]

    database = Database.open(sqlite_url, clock)
    sessions = SessionStore(database)
    access = AccessControl(AccessSettings([], {"127.0.0.1"}), open_paths=(), clock=clock, log=log, sessions=sessions)
    application = make_application([web.get("/fail/{what}", fail)], access, log)
    async with TestServer(application, host="127.0.0.1") as server, ClientSession() as session:
        yield str(server.make_url("")).rstrip("/"), session, output
    log.close()
    await database.close()


@pytest.mark.parametrize(
    ("what", "status", "detail"),
    [
        ("found", 404, "there is no job 7"),
        ("conflict", 409, "it has ended"),
        ("request", 422, "no"),
        ("store", 503, "The database is held by another program."),
        ("ours", 500, "this is an internal error of Tidewaiter; see its log"),
    ],
)
async def test_each_error_has_its_status(
    place: tuple[str, ClientSession, io.StringIO], what: str, status: int, detail: str
) -> None:
    """The document has type, title, status and one sentence; only a fault of ours is told in the log."""
    base, session, output = place
    async with session.get(f"{base}/fail/{what}") as reply:
        document = await reply.json(content_type="application/problem+json")
    assert (reply.status, document["status"], document["detail"]) == (status, status, detail)
    assert document["type"] == "about:blank"
    assert document["title"]
    assert ("Retry-After" in reply.headers) is (status == 503)
    assert ("secret detail" in output.getvalue()) is (what == "ours")


async def test_an_own_problem_brings_fields_and_headers(place: tuple[str, ClientSession, io.StringIO]) -> None:
    """Faults of fields are told by pointer or by parameter, and headers go along."""
    base, session, _ = place
    async with session.get(f"{base}/fail/own") as reply:
        document = await reply.json(content_type="application/problem+json")
    assert document["errors"] == [
        {"detail": "is short", "pointer": "/a~1b"},
        {"detail": "is long", "parameter": "limit"},
    ]
    assert (reply.status, reply.headers["X-Pot"], reply.headers["Retry-After"]) == (418, "1", "2")


async def test_redirects_and_what_there_is_not(place: tuple[str, ClientSession, io.StringIO]) -> None:
    """A redirect is no problem; unknown paths and methods are."""
    base, session, _ = place
    async with session.get(f"{base}/fail/moved", allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, "/elsewhere")
    for method, path, status in (("GET", "/nothing", 404), ("POST", "/fail/x", 405), ("GET", "/fail/large", 413)):
        async with session.request(method, f"{base}{path}") as reply:
            document = json.loads(await reply.read())
            assert (reply.status, document["status"]) == (status, status)
            assert ("Allow" in reply.headers) is (status == 405)


async def test_a_caller_who_has_gone_is_no_error(place: tuple[str, ClientSession, io.StringIO]) -> None:
    """A connection that closes while the reply is written is the caller's doing, and not in the log as an error."""
    address, session, output = place
    with pytest.raises(ClientError):
        await session.get(f"{address}/fail/gone")
    assert "http.failed" not in output.getvalue()
    await session.get(f"{address}/fail/ours")
    assert "http.failed" in output.getvalue()
