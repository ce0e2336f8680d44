"""OneAll against a server that was written from its documentation alone."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from tests.apis.strict_server import StrictServer, UndocumentedError, only
from tests.support.one_export import Landed, listening, run
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State

_BASIC: Final = "Basic " + b64encode(b"made-up-public:made-up-private").decode()
_MESSAGE: Final = "221c7bdf-d2b7-4ee4-99f4-34d0d550ecf6"
_SNAPSHOT: Final = "ace99ec8-969d-462d-a93d-ae896ddffdba"
_ORDER: Final = {"request": {"analytics": {"sharing": {"sharing_message_token": str, "pingback_uri": str}}}}


class Site(StrictServer):
    """One site. The list shows no ``pagination``, because the documentation shows none."""

    polls: int = 0
    pending: int = 2
    duplicate: bool = False
    paged: bool = False
    delete_lost: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.made = [f"{number:08x}-969d-462d-a93d-ae896ddffdba" for number in range(3)]
        self.deleted: list[str] = []

    def check(self, request: web.Request) -> None:
        """Every request carries both keys."""
        if request.headers.get("Authorization") != _BASIC:
            raise UndocumentedError("the keys are missing")

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the four requests of the table."""
        router.add_put("/sharing/analytics/snapshots.json", self.initiate)
        router.add_get("/sharing/analytics/snapshots.json", self.list)
        router.add_get("/sharing/analytics/snapshots/{token}.json", self.details)
        router.add_delete("/sharing/analytics/snapshots/{token}.json", self.delete)

    async def initiate(self, request: web.Request) -> web.Response:
        """Initiate a new snapshot."""
        only(request)
        order = await self.json_of(request, _ORDER)
        if order["request"]["analytics"]["sharing"]["sharing_message_token"] != _MESSAGE:
            return _enveloped(request, 400, "error", "Unknown message")
        if self.duplicate:
            return _enveloped(request, 207, "pending", "There is already a pending snapshot")
        return _enveloped(request, 201, "scheduled", "Your request has been received", _described(_SNAPSHOT))

    async def details(self, request: web.Request) -> web.Response:
        """Retrieve snapshot details."""
        only(request)
        if request.match_info["token"] not in (_SNAPSHOT, *self.made):
            return _enveloped(request, 404, "error", "The snapshot does not exist")
        self.polls += 1
        found = _described(request.match_info["token"])
        if self.polls > self.pending:
            found["date_finished"] = "Fri, 27 Jan 2012 16:10:03 +0100"
        return _enveloped(request, 200, "success", "Your request has been processed successfully", found)

    async def list(self, request: web.Request) -> web.Response:
        """List all snapshots."""
        only(request, "page", "entries_per_page", "order_direction", "identity_token", "user_token")
        self.bodies.append(dict(request.query))
        tokens = self.made + ([_SNAPSHOT] if self.duplicate else [])
        tokens = tokens if request.query.get("order_direction") != "desc" else tokens[::-1]
        if self.paged:
            size, page = int(request.query["entries_per_page"]), int(request.query["page"])
            tokens = tokens[(page - 1) * size : page * size]
        entries = [_described(token) for token in tokens]
        data = {"sharing_analytics_snapshots": {"count": len(entries), "entries": entries}}
        return web.json_response({"response": {**_request(request, 200, "success", "ok"), "result": {"data": data}}})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a snapshot."""
        only(request, "confirm_deletion")
        if request.query.get("confirm_deletion") != "true":
            raise UndocumentedError("the deletion is not confirmed")
        self.deleted.append(request.match_info["token"])
        if self.delete_lost:
            assert request.transport is not None
            request.transport.abort()
        if request.match_info["token"] not in self.made:
            return _enveloped(request, 404, "error", "The snapshot does not exist")
        return _enveloped(request, 200, "success", "The snapshot has been deleted successfully")


def _request(request: web.Request, code: int, flag: str, info: str) -> dict[str, Any]:
    status = {"flag": flag, "code": code, "info": info}
    return {"request": {"date": "Fri, 27 Jan 2012 16:08:37 +0100", "resource": request.path, "status": status}}


def _described(token: str) -> dict[str, Any]:
    message = {
        "sharing_message_token": _MESSAGE, "date_creation": "Tue, 24 Jan 2012 23:38:55 +0100",
        "date_last_published": "Tue, 24 Jan 2012 23:38:56 +0100",
    }  # fmt: skip
    return {
        "sharing_analytics_snapshot_token": token, "date_initiated": "Fri, 27 Jan 2012 16:08:37 +0100",
        "sharing_message": message,
    }  # fmt: skip


def _enveloped(
    request: web.Request, code: int, flag: str, info: str, snapshot: dict[str, Any] | None = None
) -> web.Response:
    response = _request(request, code, flag, info)
    if snapshot is not None:
        response["result"] = {"data": {"sharing_analytics_snapshot": snapshot}}
    return web.json_response({"response": response}, status=code)


async def _run(out: Path, site: Site, operation: str, params: dict[str, str], **account: Json) -> Landed:
    async with listening(site.app()) as server:
        settings: dict[str, Json] = {
            "subdomain": "my-app", "base_url": server, "public_key": "made-up-public", "private_key": "made-up-private",
        }  # fmt: skip
        landed = await run(out, "oneall", settings, operation, params, **account)
    assert site.wrong == []
    return landed


def _json(landed: Landed) -> Any:
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    (content,) = landed.files.values()
    return json.loads(content)


@pytest.mark.slow
async def test_a_snapshot_without_a_pingback(tmp_path: Path) -> None:
    """Workflow 1: initiated, asked for at intervals, and there."""
    site = Site()
    landed = _json(await _run(tmp_path, site, "snapshot", {"sharing_message_token": _MESSAGE}))
    assert landed["response"]["result"]["data"]["sharing_analytics_snapshot"]["date_finished"]
    assert site.bodies == [{"request": {"analytics": {"sharing": {"sharing_message_token": _MESSAGE}}}}]
    assert (site.polls, site.deleted) == (3, [])


@pytest.mark.slow
async def test_a_snapshot_with_a_pingback_of_the_users_own(tmp_path: Path) -> None:
    """Workflow 2: the address goes out as it was given, and the job is polled all the same."""
    site = Site()
    mine = "http://www.example.com/sharing-analytics/pingback.php?a=b"
    _json(await _run(tmp_path, site, "snapshot", {"sharing_message_token": _MESSAGE, "pingback_uri": mine}))
    sharing = {"sharing_message_token": _MESSAGE, "pingback_uri": mine}
    assert site.bodies == [{"request": {"analytics": {"sharing": sharing}}}]
    assert site.polls == 3


@pytest.mark.slow
async def test_a_snapshot_that_is_pending_already(tmp_path: Path) -> None:
    """207 without a token: it is found in the list, which has no pagination."""
    site = Site()
    site.duplicate, site.made, site.paged = True, [], True
    _json(await _run(tmp_path, site, "snapshot", {"sharing_message_token": _MESSAGE}))
    assert [asked.partition("?")[0] for asked in site.asked[:2]] == [
        "PUT /sharing/analytics/snapshots.json",
        "GET /sharing/analytics/snapshots.json",
    ]


@pytest.mark.parametrize("pending", [0, 99])
async def test_an_existing_snapshot_is_read(tmp_path: Path, pending: int) -> None:
    """Finished or pending, with one request, and nothing is initiated or deleted."""
    site = Site()
    site.pending = pending
    landed = _json(await _run(tmp_path, site, "snapshot_read", {"sharing_analytics_snapshot_token": _SNAPSHOT}))
    found = landed["response"]["result"]["data"]["sharing_analytics_snapshot"]
    assert found["sharing_analytics_snapshot_token"] == _SNAPSHOT
    assert site.asked == [f"GET /sharing/analytics/snapshots/{_SNAPSHOT}.json"]


@pytest.mark.parametrize("operation", ["snapshot_read", "snapshot_delete"])
async def test_a_snapshot_that_is_not_there(tmp_path: Path, operation: str) -> None:
    """The job fails with what the API says."""
    landed = await _run(tmp_path, Site(), operation, {"token": "0000"})
    assert landed.job.state is State.FAILED
    assert "The snapshot does not exist" in (landed.job.reason or "")


async def test_an_existing_snapshot_is_deleted(tmp_path: Path) -> None:
    """With the confirmation, once."""
    site = Site()
    landed = _json(await _run(tmp_path, site, "snapshot_delete", {"sharing_analytics_snapshot_token": site.made[1]}))
    assert landed["response"]["request"]["status"]["code"] == 200
    assert site.deleted == [site.made[1]]


async def test_a_deletion_whose_reply_is_lost(tmp_path: Path) -> None:
    """It is not sent again by itself: a person decides."""
    site = Site()
    site.delete_lost = True
    landed = await _run(tmp_path, site, "snapshot_delete", {"token": site.made[1]})
    assert (landed.job.state, site.deleted) == (State.PARKED, [site.made[1]])


async def test_the_list_as_it_is_documented(tmp_path: Path) -> None:
    """Without pagination; the filters go out as they were given."""
    site = Site()
    params = {
        "identity_token": "i1",
        "user_token": "u1",
        "order_direction": "desc",
        "page": "1",
        "entries_per_page": "5",
    }
    landed = _json(await _run(tmp_path, site, "snapshots", params))
    assert [entry["sharing_analytics_snapshot_token"] for entry in landed] == site.made[::-1]
    assert site.bodies == [params]


async def test_one_page_of_the_list(tmp_path: Path) -> None:
    """The page that was asked for, and no other."""
    site = Site()
    site.paged = True
    landed = _json(await _run(tmp_path, site, "snapshots", {"page": "2", "entries_per_page": "1"}))
    assert [entry["sharing_analytics_snapshot_token"] for entry in landed] == [site.made[1]]
    assert len(site.asked) == 1
