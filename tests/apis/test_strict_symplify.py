"""Symplify against a server that was written from its help page alone."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from tests.apis.strict_server import StrictServer, UndocumentedError, only
from tests.support.one_export import Landed, listening, run
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State

_TOKEN: Final = "made-up-token"
_ROWS: Final = b'[{"id": 1}, {"id": 2}]'
_TYPES: Final = ("LISTS", "CAMPAIGNS", "MESSAGES", "OPENS", "OPENED", "SENT", "CLICKS", "PROJECTS", "HARD_BOUNCES",
                 "SOFT_BOUNCES", "OPTOUTS")  # fmt: skip
_PERIODS: Final = ("TODAY", "LAST_DAY", "LAST_3_DAYS", "LAST_WEEK", "LAST_2_WEEKS")


class FileHost(StrictServer):
    """Where the files are: it wants the signature as it was given, and no credential of the API."""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the one file."""
        router.add_get("/result/5004/3232465_result.json", self.file)

    async def file(self, request: web.Request) -> web.Response:
        """The file."""
        if request.path_qs.partition("?")[2] != "Expires=1403187484&AWSAccessKeyId=MADEUP&Signature=FWZp8n%3D":
            raise UndocumentedError("the signature does not match")
        if "X-Carma-Authentication-Token" in request.headers:
            raise UndocumentedError("the API's token came along")
        return web.Response(body=_ROWS, content_type="binary/octet-stream")


class Api(StrictServer):
    """The four requests of the page; ``text`` is the reply to ``result/url``."""

    text: str
    polls: int = 0

    def check(self, request: web.Request) -> None:
        """Every request carries the token, and none has a query."""
        only(request)
        if request.headers.get("X-Carma-Authentication-Token") != _TOKEN:
            raise UndocumentedError("the token is missing")

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the four."""
        router.add_post("/rest/5004/batches/exports/statistics", self.create)
        router.add_get("/rest/5004/batches/101111", self.status)
        router.add_get("/rest/5004/batches/101111/result/url", self.url)
        router.add_get("/rest/5004/batches/101111/result", self.result)
        router.add_get("/rest/5004/files/1", self.own_file)

    async def create(self, request: web.Request) -> web.Response:
        """Start an export."""
        body = await self.json_of(request, {"exportType": str, "period": str})
        if body["exportType"] not in _TYPES or body["period"] not in _PERIODS:
            raise UndocumentedError(f"{body} is not among the possible values")
        return web.json_response({"batchId": "101111"})

    async def status(self, _request: web.Request) -> web.Response:
        """Tell the progress: one status after the other, with the blanks of the page."""
        word = (" PENDING", "IN_PROGRESS", " FINISHED")[min(self.polls, 2)]
        self.polls += 1
        return web.json_response(
            {
                "id": 101111, "type": " STAT_EXPORT", "customerId": 0, "startTime": 1394636797030,
                "endTime": 1394636799710, "affected": 500, "processed": 500, "total": 501, "status": word,
            }
        )  # fmt: skip

    async def url(self, request: web.Request) -> web.Response:
        """Tell where the file is."""
        if "application/json" in request.headers.get("Accept", ""):
            raise UndocumentedError("the return data is in text/plain")
        return web.Response(body=self.text.encode(), headers={"Content-Type": "text/plain;charset=UTF-8"})

    async def result(self, _request: web.Request) -> web.Response:
        """Lead to the file."""
        return web.Response(status=302, headers={"Location": self.text})

    async def own_file(self, _request: web.Request) -> web.Response:
        """A file of the API itself, for which the token is wanted like everywhere here."""
        return web.Response(body=_ROWS, content_type="application/json")


async def _run(
    out: Path, text: str = "{file}", params: dict[str, str] | None = None, **more: Json
) -> tuple[Landed, Api]:
    api, files = Api(), FileHost()
    async with listening(files.app()) as file_host, listening(api.app()) as server:
        signed = (
            f"{file_host}/result/5004/3232465_result.json?Expires=1403187484&AWSAccessKeyId=MADEUP&Signature=FWZp8n%3D"
        )
        api.text = text.replace("{file}", signed).replace("{escaped}", json.dumps(signed).replace("/", "\\/"))
        settings: dict[str, Any] = {"server": server, "customer_id": "5004", "token": _TOKEN, **more}
        landed = await run(out, "symplify", settings, "statistics", params or {"export_type": "OPENED"})
    assert api.wrong + files.wrong == []
    return landed, api


@pytest.mark.slow
@pytest.mark.parametrize("export_type", _TYPES)
async def test_every_type_is_sent_as_it_was_written(tmp_path: Path, export_type: str) -> None:
    """OPENED, which the page's example has, goes out as OPENED, and OPENS as OPENS."""
    landed, api = await _run(tmp_path, params={"export_type": export_type, "period": "LAST_2_WEEKS"})
    assert landed.job.state is State.SUCCEEDED
    assert list(landed.files.values()) == [_ROWS]
    assert api.bodies == [{"exportType": export_type, "period": "LAST_2_WEEKS"}]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "{file}",
        "\ufeff{file}",
        "\u201c{file}\u201d",
        "\ufeff \u201c{file}\u201d\r\n",
        '"{file}"',
        "'{file}'",
        " \n{file}\n ",
        "{escaped}",
        "/rest/5004/files/1",
        "\u201c/rest/5004/files/1\u201d",
        "../../../files/1",
    ],
)
async def test_the_url_however_it_is_written(tmp_path: Path, text: str) -> None:
    """With a byte order mark, quotation marks of any kind or blanks around it, as JSON, or relative: the file lands."""
    landed, api = await _run(tmp_path, text)
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    assert list(landed.files.values()) == [_ROWS]
    assert api.polls == 3


@pytest.mark.slow
async def test_the_redirect(tmp_path: Path) -> None:
    """The other way to the file, where the account says so."""
    landed, _ = await _run(tmp_path, result="redirect")
    assert list(landed.files.values()) == [_ROWS]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["<html><a href='/x?y'>Sign in</a></html>", '{"error": "a/b"}', "Not yet / later"])
async def test_what_is_no_url_is_none(tmp_path: Path, text: str) -> None:
    """A page, an error or a sentence in place of the URL never becomes an address that is asked."""
    api = Api()
    async with listening(api.app()) as server:
        api.text = text
        settings: dict[str, Json] = {"server": server, "customer_id": "5004", "token": _TOKEN}
        schedule: dict[str, Json] = {"first_delay_s": 0.0, "interval_s": 0.05, "factor": 1.0, "deadline_s": 3.0}
        landed = await run(tmp_path, "symplify", settings, "statistics", {"export_type": "SENT"}, schedule=schedule)
    assert landed.job.state in (State.EXPIRED, State.FAILED)
    assert {asked.rpartition("/")[2] for asked in api.asked} == {"statistics", "101111", "url"}
