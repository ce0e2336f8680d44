"""Files that a step passes over, because a file before them has shown that nothing is to be had from there."""

from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import answering, serving
from tests.worker.file_lists import LISTED, lists

SIGNED = (
    LISTED.replace("send_auth = false", "send_auth = true")
    + """
[auth]
type = "session"
login = { url = "/login", form = { user = "export" }, token = "token" }
"""
)
LISTED_FILES = 4


@pytest.mark.slow
async def test_a_login_that_fails_is_tried_once_in_a_step(tmp_path: Path, sqlite_url: str) -> None:
    """The token ends with the first file: the others do not try to log in again, one after the other."""
    files = [(f"/files/{number}", str(number)) for number in range(LISTED_FILES)]
    answers = lists(files) | {f"GET {path}": answering(b"renew", status=401) for path, _ in files}
    logins = 0

    async def login(_: web.Request) -> web.StreamResponse:
        nonlocal logins
        logins += 1
        return web.json_response({"token": "canary"} if logins == 1 else {}, status=200 if logins == 1 else 500)

    async with serving(tmp_path, sqlite_url, SIGNED, answers | {"POST /login": login}) as (shop, running):
        job = await running.submit()
        (line,) = await running.logged("job.troubled")
        assert line["job"] == job.id
        assert logins == 2
        assert shop.times("GET /files/") == 1
