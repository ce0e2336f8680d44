"""Accounts, schedules, providers, the overview, trends and notifications through the API."""

import pytest
from sqlalchemy import text

from tests.support.api_server import ApiServer
from tests.support.json_schemas import validator_of
from tidewaiter.domain import outcome as o


async def test_accounts(any_site: ApiServer) -> None:
    """Accounts are listed with their live jobs; one is paused with a reason and resumed, and each change shows."""
    site = any_site
    await site.submitted()
    listed = (await site.get("/v1/accounts")).json["accounts"]
    assert [(one["account"], one["provider"], one["jobs"]) for one in listed] == [
        ("pier", "harbour", {}), ("quay", "harbour", {"queued": 1}),
    ]  # fmt: skip
    paused = await site.post("/v1/accounts/quay/pause", {"reason": "their maintenance"})
    assert (paused.status, paused.json["pause"]["by"]) == (200, "person")
    shown = (await site.get("/v1/accounts/quay")).json
    assert shown["pause"]["reason"] == "their maintenance"
    assert (await site.post("/v1/accounts/quay/pause")).json["pause"]["reason"] == "their maintenance", "it is kept"
    resumed = (await site.post("/v1/accounts/quay/resume")).json
    assert resumed["pause"] is None
    assert resumed["paused_s"] >= 0
    assert (await site.post("/v1/accounts/quay/resume")).json["paused_s"] is None
    assert (await site.post("/v1/accounts/quay/pause")).json["pause"]["reason"]
    for name in ("nobody", "%00", "a" * 500):
        (await site.get(f"/v1/accounts/{name}")).problem(404)
        (await site.post(f"/v1/accounts/{name}/pause", {})).problem(404)
        (await site.post(f"/v1/accounts/{name}/resume")).problem(404)
    long = await site.post("/v1/accounts/quay/pause", {"reason": "x" * 501})
    assert long.problem(422)["errors"][0]["pointer"] == "/reason"


async def test_schedules(site: ApiServer) -> None:
    """Schedules are listed with their next tick; one is run now, with the dates of today."""
    (listed,) = (await site.get("/v1/schedules")).json["schedules"]
    assert (listed["name"], listed["timezone"], listed["job"]) == ("nightly", "UTC", None)
    assert listed["params"] == {"period": "LAST_DAY", "note": "${yesterday}"}
    assert listed["next_at"] > "2020"
    reply = await site.post("/v1/schedules/nightly/run")
    assert (reply.status, reply.json["operation"]) == (202, "report")
    assert "$" not in reply.json["params"]["note"]
    assert (await site.get(reply.headers["Location"])).json["id"] == reply.json["id"]
    (await site.post("/v1/schedules/weekly/run")).problem(404)
    reply = await site.post("/v1/schedules/nightly/run", {"as_of": "2026-01-31", "params": {"period": "LAST_WEEK"}})
    assert reply.json["params"] == {"period": "LAST_WEEK", "note": "2026-01-30"}
    assert reply.json["schedule"] == "nightly"
    reply = await site.post("/v1/schedules/nightly/run", {"params": {"note": None}})
    assert reply.json["params"] == {"period": "LAST_DAY"}
    (await site.post("/v1/schedules/nightly/run", {"as_of": "31 January"})).problem(422)
    (await site.post("/v1/schedules/nightly/run", {"params": {"note": "${soon}"}})).problem(422)


async def test_a_schedule_is_paused(site: ApiServer) -> None:
    """Who paused it, and why, is shown until somebody resumes it."""
    paused = (await site.post("/v1/schedules/nightly/pause", {"reason": "repairs"})).json
    assert paused["pause"]["reason"] == "repairs"
    assert (await site.get("/v1/schedules")).json["schedules"] == [paused]
    assert (await site.post("/v1/schedules/nightly/pause")).json["pause"] == paused["pause"], "it keeps its reason"
    assert (await site.post("/v1/schedules/nightly/resume")).json["pause"] is None
    for action in ("pause", "resume"):
        (await site.post(f"/v1/schedules/weekly/{action}")).problem(404)


async def test_providers(site: ApiServer) -> None:
    """Providers are listed, built-in ones included; each operation has a sound JSON Schema of its parameters."""
    listed = (await site.get("/v1/providers")).json["providers"]
    (ours,) = [one for one in listed if one["name"] == "harbour"]
    assert (ours["operations"], ours["accounts"]) == (["report", "listing"], ["pier", "quay"])
    assert ours["verified"] is None
    for one in listed:
        shown = (await site.get(one["location"])).json
        assert shown["verified"] == one["verified"]
        for operation in shown["operations"].values():
            validator_of(operation["parameters"])
    schema = (await site.get("/v1/providers/harbour")).json["operations"]["report"]["parameters"]
    assert schema["required"] == ["period"]
    validator = validator_of(schema)
    assert validator.is_valid({"period": "LAST_DAY", "rows": 1, "parts": [{"title": "abc"}]})
    for bad in ({}, {"period": "NOW"}, {"period": "LAST_DAY", "note": "x" * 21}, {"period": "LAST_DAY", "more": 1}):
        assert not validator.is_valid(bad)
    wrong: list[list[dict[str, str]]] = [[{"title": "A"}], [{}], [{"title": "a"}] * 4]
    for parts in wrong:
        assert not validator.is_valid({"period": "LAST_DAY", "parts": parts})
    (await site.get("/v1/providers/nobody")).problem(404)


async def test_overview(site: ApiServer) -> None:
    """The overview counts jobs by state and shows what has landed last."""
    number, _ = await site.landed(b"content")
    await site.submitted()
    shown = (await site.get("/v1/overview")).json
    assert (shown["jobs"]["queued"], shown["jobs"]["succeeded"]) == (1, 1)
    assert [(one["job"], one["files"], one["size"]) for one in shown["landed"]] == [(number, 1, 7)]
    assert len(shown["minutes"]) == 60
    assert sum(one["ended"].get("succeeded", 0) for one in shown["minutes"]) == 1


async def test_trends(site: ApiServer) -> None:
    """The sums of the last periods, and of each operation, with filters; a query that cannot be used is told why."""
    await site.landed(b"content")
    await site.step((await site.submitted())["id"], o.Refused("no"))
    shown = (await site.get("/v1/trends")).json
    assert (shown["step"], len(shown["periods"])) == ("day", 30)
    assert shown["periods"][-1]["at"].endswith("T00:00:00.000Z")
    (one,) = shown["operations"]
    assert (one["account"], one["operation"]) == ("quay", "report")
    assert (one["landed"], one["failed"], one["files"], one["bytes"]) == (1, 1, 1, 7)
    assert one["duration_p50_s"] is not None
    hours = (await site.get("/v1/trends?step=hour&number=48&account=quay&operation=report")).json
    assert (hours["step"], len(hours["periods"]), len(hours["operations"])) == ("hour", 48, 1)
    assert sum(period["failed"] for period in hours["periods"]) == 1
    other = (await site.get("/v1/trends?step=week&account=pier")).json
    assert (len(other["periods"]), other["operations"]) == (12, [])
    assert not any(period["landed"] for period in other["periods"])
    for query in ("step=year", "step=hour&number=337", "number=0", "number=x", "step=day&step=day", "limit=1"):
        (await site.get(f"/v1/trends?{query}")).problem(400)


@pytest.fixture
async def notified(site: ApiServer) -> ApiServer:
    """A listener with three notifications, of which one has died."""
    number = (await site.submitted())["id"]
    await site.step(number, o.Refused("no"))
    async with site.database.writing() as connection:
        for status in ("waiting", "delivered", "dead"):
            await connection.execute(
                text(
                    "INSERT INTO notifications"
                    " (endpoint, message_id, job_id, account, state, at, body, status, attempts)"
                    " VALUES ('ops', :message, :job, 'quay', 'failed', 1750000000, '{}', :status, 3)"
                ),
                {"message": f"msg-{status}", "job": number, "status": status},
            )
    return site


async def test_notifications(notified: ApiServer) -> None:
    """Notifications are listed by what became of them, page by page, and a dead one is delivered again."""
    page = (await notified.get("/v1/notifications?limit=2")).json
    assert [one["status"] for one in page["notifications"]] == ["dead", "delivered"]
    rest = (await notified.get(page["next"])).json
    assert ([one["status"] for one in rest["notifications"]], rest["next"]) == (["waiting"], None)
    (dead,) = (await notified.get("/v1/notifications?status=dead&endpoint=ops")).json["notifications"]
    assert (await notified.post(f"/v1/notifications/{dead['id']}/retry")).status == 202
    assert (await notified.get("/v1/notifications?status=dead")).json["notifications"] == []
    (await notified.post("/v1/notifications/99/retry")).problem(404)
    wrong: list[dict[str, object]] = [{}, {"status": []}, {"status": ["delivered"]}, {"status": "dead"}]
    for body in wrong:
        (await notified.post("/v1/notifications:retry", body)).problem(422)
    dead_ones = {"status": ["dead", "waiting"], "endpoint": "ops"}
    async with notified.database.writing() as connection:
        await connection.execute(text("UPDATE notifications SET due_at = 9e9 WHERE status = 'waiting'"))
    reply = await notified.post("/v1/notifications:retry", {**dead_ones, "endpoint": "other"})
    assert (reply.status, reply.json) == (202, {"count": 0})
    assert (await notified.post("/v1/notifications:retry", dead_ones)).json == {"count": 2}
    for query in ("status=asleep", "job=x", "limit=0", "cursor=x"):
        (await notified.get(f"/v1/notifications?{query}")).problem(400)
