"""Copernica against a server that was written from its documentation alone."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from tests.apis.strict_server import StrictServer, UndocumentedError, only
from tests.support.one_export import Landed, listening, run
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State

_TOKEN: Final = "made-up-access-token"
_JWT: Final = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQ4OTM0NTYwMDB9.bWFkZS11cA"
_PENDING: Final = {"info": {}, "data": "Data not available (yet)"}
_ID: Final = "5f3a81c2"


class Api(StrictServer):
    """The two requests of the page: make a data request, and ask for it."""

    created: tuple[int, dict[str, str], str]
    polls: int = 0
    pending: int = 2
    error_at: str = ""
    data: Any = None
    how: str = "login"

    def __init__(self) -> None:
        super().__init__()
        self.created = (201, {"X-Created": _ID}, "")
        self.data = [["mime", "From: a"], ["open", "2026-01-31 08:15:00"]]
        self.kind, self.of = "subprofile", "17"

    def check(self, request: web.Request) -> None:
        """Every request carries a token: the one that was given at the login, or the access token itself."""
        if request.path == "/login":
            return
        if self.how == "query":
            wanted, got = _TOKEN, request.query.get("access_token")
        else:
            wanted = "Bearer " + (_JWT if self.how == "login" else _TOKEN)
            got = request.headers.get("Authorization")
        if got != wanted:
            raise UndocumentedError(f"the token is {got}")

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add them, and the login host."""
        router.add_post("/login", self.login)
        for kind in ("subprofile", "profile", "email"):
            router.add_post(f"/v4/{kind}/{{id}}/datarequest", self.create)
        router.add_get(f"/v4/datarequest/{_ID}", self.ask)

    async def login(self, request: web.Request) -> web.Response:
        """Give a session token."""
        if self.how != "login" or dict(await request.post()) != {"access_token": _TOKEN}:
            raise UndocumentedError("no login is wanted here")
        return web.Response(text=_JWT)

    async def create(self, request: web.Request) -> web.Response:
        """Collect all data about somebody."""
        only(request, "report", "access_token")
        body = await self.json_of(request, {"report": str}) if request.can_read_body else {}
        self.of = request.match_info["id"]
        report = request.query.get("report") or body.get("report")
        if report is not None and not report.startswith(("http://", "https://")) and "@" not in report:
            raise UndocumentedError("the report is neither an email address nor a web address")
        if self.error_at == "create":
            return web.json_response({"error": {"message": "There is no such subprofile"}})
        status, headers, text = self.created
        return web.Response(status=status, headers=headers, text=text)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Whether the data is available, and the data."""
        only(request, "access_token")
        self.polls += 1
        if self.polls <= self.pending:
            return web.json_response(_PENDING)
        if self.error_at == "ask":
            return web.json_response({"error": {"message": "The file has expired"}})
        return web.json_response({"info": {"type": self.kind, "id": self.of}, "data": self.data})


async def _run(out: Path, api: Api, params: dict[str, str] | None = None, operation: str = "subprofile_data",
               **settings: Json) -> Landed:  # fmt: skip
    async with listening(api.app()) as server:
        addresses = {"base_url": f"{server}/v4", "login_url": f"{server}/login", "access_token": _TOKEN}
        landed = await run(out, "copernica", {**addresses, **settings}, operation, {"id": "17", **(params or {})})
    assert api.wrong == []
    return landed


def _json(landed: Landed) -> Any:
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    (content,) = landed.files.values()
    return json.loads(content)


@pytest.mark.slow
async def test_the_documented_way_is_the_default(tmp_path: Path) -> None:
    """The request itself tells whether the data is there: nothing else is asked."""
    api = Api()
    landed = _json(await _run(tmp_path, api))
    assert landed == {"info": {"type": "subprofile", "id": "17"}, "data": api.data}
    assert api.asked == ["POST /login", "POST /v4/subprofile/17/datarequest", *[f"GET /v4/datarequest/{_ID}"] * 3]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["login", "bearer", "query"])
async def test_each_way_to_show_the_access_token(tmp_path: Path, how: str) -> None:
    """With a login for a session token, and directly."""
    api = Api()
    api.how = how
    _json(await _run(tmp_path, api, auth=how))
    assert ("POST /login" in api.asked) == (how == "login")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["body", "query"])
@pytest.mark.parametrize("report", ["example@example.com", "https://example.com/hook?a=b&c"])
async def test_a_report_of_the_jobs_own(tmp_path: Path, report: str, place: str) -> None:
    """A mail or a web address, in the body or in the URL."""
    api = Api()
    _json(await _run(tmp_path, api, {"report": report}, report_in=place))
    if place == "body":
        assert api.bodies == [{"report": report}]
    else:
        assert "?report=" in api.asked[1]
        assert api.bodies == []


@pytest.mark.slow
async def test_an_account_that_names_a_mailbox(tmp_path: Path) -> None:
    """The account's address, and a job's own before it."""
    for params, wanted in (({}, "a@example.com"), ({"report": "b@example.com"}, "b@example.com")):
        api = Api()
        _json(await _run(tmp_path / wanted, api, params, report="mail", report_to="a@example.com"))
        assert api.bodies == [{"report": wanted}]


@pytest.mark.parametrize("report", ["nobody", "ftp://example.com", "a b@example.com"])
async def test_a_report_that_is_no_address(tmp_path: Path, report: str) -> None:
    """Refused before anything is sent."""
    with pytest.raises(Exception, match="report"):
        await _run(tmp_path, Api(), {"report": report})


@pytest.mark.slow
@pytest.mark.parametrize(
    "created",
    [
        (201, {"X-Created": _ID}, ""),
        (200, {"X-Created": _ID}, ""),
        (303, {"X-Created": _ID}, ""),
        (303, {"X-Created": _ID, "Location": f"/v4/datarequest/{_ID}"}, ""),
        (303, {"Location": f"https://api.copernica.com/v4/datarequest/{_ID}"}, ""),
        (201, {"X-location": f"https://api.copernica.com/v4/datarequest/{_ID}"}, ""),
        (201, {"Location": f"/v4/datarequest/{_ID}/"}, ""),
        (200, {}, _ID),
        (200, {}, f'"{_ID}"'),
        (200, {}, f"\ufeff{_ID}\n"),
        (200, {"Content-Type": "application/json"}, f'{{"id": "{_ID}"}}'),
    ],
)
async def test_the_identifier_wherever_it_stands(tmp_path: Path, created: tuple[int, dict[str, str], str]) -> None:
    """In a header of a 2xx or a 303, or in the body: one request is made, and its data lands."""
    api = Api()
    api.created = created
    _json(await _run(tmp_path, api))
    assert len([asked for asked in api.asked if "POST /v4" in asked]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("step", ["create", "ask"])
async def test_an_error_that_comes_as_200(tmp_path: Path, step: str) -> None:
    """The job ends with the API's words."""
    api = Api()
    api.error_at = step
    landed = await _run(tmp_path, api)
    assert (landed.job.state, landed.job.submits, landed.files) == (State.FAILED, 1, {})
    assert ("no such subprofile" if step == "create" else "has expired") in (landed.job.reason or "")


@pytest.mark.slow
async def test_data_that_is_large(tmp_path: Path) -> None:
    """Longer than a reply that is read into memory: it lands whole."""
    api = Api()
    api.data = [["mime", "x" * 100_000] for _ in range(100)]
    landed = _json(await _run(tmp_path, api))
    assert landed["data"] == api.data


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "of", "path"),
    [("profile_data", "4", "profile/4"), ("email_data", "jane@example.com", "email/jane%40example.com")],
)
async def test_its_siblings(tmp_path: Path, operation: str, of: str, path: str) -> None:
    """A profile and an e-mail address, which the JSON file can be about, too."""
    api = Api()
    assert _json(await _run(tmp_path, api, {"id": of}, operation))["info"]["id"] == of
    assert f"POST /v4/{path}/datarequest" in api.asked
