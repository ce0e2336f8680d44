"""Two recipes on the real daemon: rows that come with the polls, and a file whose link is known before it is there."""

from pathlib import Path

import pytest
from aiohttp import web

from tests.providers.providers_page import RECIPES
from tests.support.scripted_provider import answering, open_provider, serving
from tidewaiter.domain.job import State

pytestmark = pytest.mark.slow

GONE = {"error": "the statement is gone"}
_PARAM = '[operations.report.params]\n%s = { help = "what to ask for" }\n'


def _operation(recipe: str, name: str) -> str:
    """The tables of a recipe's operation below its head, as those of the operation `report`."""
    text = (RECIPES / recipe).read_text("utf-8")
    start = text.index(f"[operations.{name}.submit]")
    end = min(at for word in ("[[examples]]", "[operations.statistics]") if (at := text.find(word)) >= 0)
    return text[start:end].replace(f"operations.{name}.", "operations.report.").replace("${account.user}", "ann")


SQL = _PARAM % "sql" + _operation("rows-with-the-polls.toml", "query")
SEGMENT = _PARAM % "id" + _operation("file-that-comes-later.toml", "segment")


def _statement(last: object) -> dict[str, object]:
    """The replies of one statement, by number: it waits, has a row, then none, and ends with ``last``."""
    return {
        "1": {"nextUri": "/v1/statement/q1/2"},
        "2": {"data": [[1, "a"]], "nextUri": "/v1/statement/q1/3"},
        "3": {"nextUri": "/v1/statement/q1/4"},
        "4": last,
    }


async def test_rows_come_with_the_polls(tmp_path: Path, sqlite_url: str) -> None:
    """The statement is the body; the pages begin with the reply that had the first rows, and no row is lost."""
    heard: list[tuple[bytes, str]] = []

    async def submit(request: web.Request) -> web.StreamResponse:
        heard.append((await request.read(), request.headers["X-User"]))
        return web.json_response({"id": "q1", "nextUri": "/v1/statement/q1/1"})

    answers = {f"GET /v1/statement/q1/{n}": answering(body) for n, body in _statement({"data": [[2, "b"]]}).items()}
    async with serving(tmp_path, sqlite_url, SQL, {"POST /v1/statement": submit, **answers}) as (shop, running):
        job = await running.run(sql="SELECT 1")
        assert job.state is State.SUCCEEDED, job.reason
        assert await running.file(job.id) == b'[[1,"a"],\n[2,"b"]]\n'
        assert heard == [(b"SELECT 1", "ann")]
        assert [shop.times(f"GET /v1/statement/q1/{n}") for n in "1234"] == [1, 2, 1, 1]


async def test_a_query_that_fails_after_its_first_rows_lands_nothing(tmp_path: Path, sqlite_url: str) -> None:
    """Rows that came before the error are no result."""
    answers = {f"GET /v1/statement/q1/{n}": answering(body) for n, body in _statement(GONE).items()}
    answers["POST /v1/statement"] = answering({"nextUri": "/v1/statement/q1/1"})
    async with serving(tmp_path, sqlite_url, SQL, answers) as (_, running):
        job = await running.run(sql="SELECT 1")
        assert (job.state, job.reason) == (State.FAILED, "HTTP 200: the statement is gone")
        assert not await running.jobs.artifacts(job.id)


async def test_a_file_is_waited_for_at_its_own_host(tmp_path: Path, sqlite_url: str) -> None:
    """403 and 404 of the file's host mean that it is not there yet; they close neither the account nor the job."""
    left = [403, 404, 404]

    async def file(_: web.Request) -> web.StreamResponse:
        return web.Response(status=left.pop(0)) if left else web.Response(body=b"PK\3\4 the file")

    async with open_provider({"GET /s1.zip": file}) as bucket:
        answers = {"POST /segments/export": answering({"url": f"{bucket.url}/s1.zip"})}
        async with serving(tmp_path, sqlite_url, SEGMENT, answers) as (shop, running):
            job = await running.run(id="s1")
            assert job.state is State.SUCCEEDED, job.reason
            assert await running.file(job.id) == b"PK\3\4 the file"
            assert (bucket.times("GET /s1.zip"), shop.times("POST")) == (4, 1)
            assert not running.events("account.refused")
