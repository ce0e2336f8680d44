"""Backfills through the API: made once for a name, shown, paused, resumed, cancelled, and limited to accounts."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.api_server import ADMIN, ApiServer, serving
from tests.web.api.limited_token import ONE, TOKENS

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _body(**changes: Any) -> dict[str, Any]:
    params = {"period": "LAST_DAY", "note": "${window.from}"}
    span = {"from": "2026-01-01", "to": "2026-06-30", "window": "1mo"}
    return {"account": "quay", "operation": "report", "params": params, "name": "fill", **span, **changes}


async def test_a_backfill(any_site: ApiServer) -> None:
    """It is made once for its name, and shown with how far it is."""
    preview = await any_site.post("/v1/backfills/preview", _body())
    assert preview.json == {
        "windows": 6,
        "first": {"period": "LAST_DAY", "note": "2026-01-01"},
        "last": {"period": "LAST_DAY", "note": "2026-06-01"},
        "reused": 0,
    }
    made = await any_site.post("/v1/backfills", _body(labels={"dag": "x"}), headers={"traceparent": TRACE})
    assert (made.status, made.headers["Location"]) == (201, "/v1/backfills/fill")
    assert (made.json["state"], made.json["windows"], made.json["submitted"]) == ("running", 6, 0)
    again = await any_site.post("/v1/backfills", _body(labels={"dag": "x"}))
    assert (again.status, again.json) == (200, made.json)
    (await any_site.post("/v1/backfills", _body(newest_first=True))).problem(409)
    assert (await any_site.get("/v1/backfills/fill")).json == made.json
    assert (await any_site.get("/v1/batches/fill")).json["complete"] is False
    unnamed = (await any_site.post("/v1/backfills", _body(name=None))).json
    assert unnamed["name"].startswith("quay-report-")
    page = (await any_site.get("/v1/backfills?limit=1")).json
    assert [one["name"] for one in page["backfills"]] == [unnamed["name"]]
    assert [one["name"] for one in (await any_site.get(page["next"])).json["backfills"]] == ["fill"]


async def test_a_person_decides(site: ApiServer) -> None:
    """It is paused with a reason, resumed, and cancelled."""
    await site.post("/v1/backfills", _body())
    paused = (await site.post("/v1/backfills/fill/pause", {"reason": "their maintenance"})).json
    assert (paused["state"], paused["pause"]["reason"]) == ("paused", "their maintenance")
    assert (await site.post("/v1/backfills/fill/resume", {})).json["pause"] is None
    cancelled = (await site.post("/v1/backfills/fill/cancel", {})).json
    assert (cancelled["state"], cancelled["pause"]) == ("cancelled", None)
    assert cancelled["ended_at"] is not None
    (await site.post("/v1/backfills/fill/resume", {})).problem(409)
    (await site.post("/v1/backfills/fill/pause", {})).problem(409)
    for what in ("pause", "resume", "cancel"):
        (await site.post(f"/v1/backfills/none/{what}", {})).problem(404)
    (await site.get("/v1/backfills/none")).problem(404)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"from": "yesterday"}, "/from"),
        ({"to": "2025-01-01"}, "/to"),
        ({"window": "1"}, "/window"),
        ({"timezone": "Mars"}, "/timezone"),
        ({"name": "a/b"}, "/name"),
        ({"account": "nobody"}, "/account"),
        ({"params": {"period": "NEVER", "note": "${window.from}"}}, "/params/period"),
        ({"params": {"period": "LAST_DAY"}}, "/params"),
        ({"at_once": 0}, "/at_once"),
        ({"labels": {"1x": "y"}}, "/labels/1x"),
    ],
)
async def test_what_is_refused(site: ApiServer, changes: dict[str, Any], pointer: str) -> None:
    """Each fault has its place, in a preview as in a request."""
    for path in ("/v1/backfills", "/v1/backfills/preview"):
        problem = (await site.post(path, _body(**changes))).problem(422)
        assert [one["pointer"] for one in problem["errors"]] == [pointer]


async def test_a_limited_token(tmp_path: Path, database_url: str) -> None:
    """Backfills of other accounts do not exist for it, and their names are taken."""
    (tmp_path / "boss.token").write_text(ADMIN)
    (tmp_path / "one.token").write_text(ONE)
    one, boss = {"Authorization": f"Bearer {ONE}"}, {"Authorization": f"Bearer {ADMIN}"}
    async with serving(tmp_path, database_url, more=TOKENS) as site:
        assert (await site.post("/v1/backfills", _body(account="pier"), headers=boss)).status == 201
        assert (await site.get("/v1/backfills", headers=one)).json["backfills"] == []
        (await site.get("/v1/backfills/fill", headers=one)).problem(404)
        (await site.get("/v1/batches/fill", headers=one)).problem(404)
        (await site.post("/v1/backfills", _body(), headers=one)).problem(409)
        (await site.post("/v1/backfills", _body(account="pier"), headers=one)).problem(422)
        job = {"account": "quay", "operation": "report", "params": {"period": "LAST_DAY"}, "batch": "fill"}
        (await site.post("/v1/jobs", job, headers=one)).problem(409)
        assert (await site.post("/v1/backfills", _body(name="own"), headers=one)).status == 201
        assert (await site.get("/v1/backfills/own", headers=one)).json["state"] == "running"
