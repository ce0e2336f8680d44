"""Jobs through the API: requests and replies as programs see them."""

import asyncio

import pytest

from tests.support.api_server import ApiServer, new_job
from tidewaiter.database.tables import durations
from tidewaiter.domain import outcome as o
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.domain.job import State


async def test_a_job_is_made_and_shown(any_site: ApiServer) -> None:
    """A new job is answered with 202, its address and when to look again; at that address it stands."""
    reply = await any_site.post("/v1/jobs", new_job(params={"period": "yesterday", "rows": 3}))
    assert reply.status == 202
    job = reply.json
    assert (job["state"], job["params"]) == ("queued", {"period": "LAST_DAY", "rows": 3})
    assert reply.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert reply.headers["Retry-After"] == "1"
    shown = await any_site.get(reply.headers["Location"])
    assert (shown.status, shown.json) == (200, job)
    assert job["created_at"].endswith("Z")
    assert not {"links", "intent_key", "callback_hash"} & job.keys()


async def test_what_is_expected(site: ApiServer) -> None:
    """A job says when its next step is due; while it is polled, what earlier jobs say about it, also in words."""
    number = (await site.post("/v1/jobs", new_job())).json["id"]
    queued = await site.get(f"/v1/jobs/{number}/expected")
    assert (queued.status, queued.json["ready"], queued.json["sentence"]) == (200, None, None)
    assert queued.json["due_at"].endswith("Z")
    sketch = NO_DURATIONS
    for _ in range(5):
        sketch = sketch.with_one(235.0, 240.0)
    await site.step(number, o.Intended("intent"))
    await site.step(number, o.Accepted("r-1"))
    job = await site.jobs.get(number)
    assert job is not None
    async with site.jobs.database.writing() as connection:
        row = {"lane": job.lane, "operation": job.operation, "kind": "", "sketch": sketch.to_text(), "updated_at": 1.0}
        await connection.execute(durations.insert().values(row))
    polled = (await site.get(f"/v1/jobs/{number}/expected")).json
    assert polled["ready"]["usual_s"] == pytest.approx(240.0, rel=0.1)
    assert polled["ready"]["late"] is False
    assert polled["sentence"].startswith("usually ready after ")
    assert (await site.get("/v1/jobs/99999/expected")).status == 404


async def test_the_same_key_is_the_same_job(any_site: ApiServer) -> None:
    """A request that is sent again with its key makes nothing new and says so; quotes around the key do not matter."""
    first = await any_site.post("/v1/jobs", new_job(), headers={"Idempotency-Key": '"daily-1"'})
    again = await any_site.post("/v1/jobs", new_job(), headers={"Idempotency-Key": "daily-1"})
    by_name = await any_site.post("/v1/jobs", new_job(unique_key="daily-1"))
    assert [one.status for one in (first, again, by_name)] == [202, 202, 202]
    assert first.json["id"] == again.json["id"] == by_name.json["id"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == by_name.headers["Idempotent-Replayed"] == "true"
    await any_site.step(first.json["id"], o.Refused("no"))
    ended = await any_site.post("/v1/jobs", new_job(), headers={"Idempotency-Key": "daily-1"})
    assert (ended.status, ended.json["state"]) == (200, "failed")


async def test_a_key_is_for_one_request(site: ApiServer) -> None:
    """The same key with other parameters, or two keys for one request, are refused; nothing is created."""
    await site.post("/v1/jobs", new_job(), headers={"Idempotency-Key": '"k"'})
    other = await site.post("/v1/jobs", new_job(operation="listing", params={}), headers={"Idempotency-Key": '"k"'})
    assert other.problem(422)["errors"][0]["parameter"] == "Idempotency-Key"
    two = await site.post("/v1/jobs", new_job(unique_key="x"), headers={"Idempotency-Key": '"k"'})
    assert two.problem(422)["errors"][0]["pointer"] == "/unique_key"
    bad = await site.post("/v1/jobs", new_job(), headers={"Idempotency-Key": '"open'})
    assert bad.problem(400)["errors"][0]["parameter"] == "Idempotency-Key"
    assert sum((await site.jobs.counts()).values()) == 1


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"account": "quay"}, ["/operation"]),
        (new_job(account="nobody"), ["/account"]),
        (new_job(operation="nothing"), ["/operation"]),
        (new_job(params={}), ["/params/period"]),
        (new_job(params={"period": "NOW", "rows": "many"}), ["/params/period", "/params/rows"]),
        (new_job(params={"period": "LAST_DAY", "a.b/c[0]": 1}), ["/params/a.b~1c[0]"]),
        (
            new_job(params={"period": "LAST_DAY", "parts": [{"title": "a"}, {"title": "B", "x": 1}]}),
            ["/params/parts/1/title", "/params/parts/1/x"],
        ),
        (new_job(params=[]), ["/params"]),
        (new_job(surprise=1, account=7), ["/account", "/surprise"]),
        ([], [""]),
        (new_job(unique_key="\u0007"), ["/unique_key"]),
    ],
)
async def test_faults_point_at_their_field(site: ApiServer, body: object, pointers: list[str]) -> None:
    """Every fault of a body is told at once, with a pointer to where it stands."""
    problem = (await site.post("/v1/jobs", body)).problem(422)
    assert sorted(one["pointer"] for one in problem["errors"]) == sorted(pointers), problem
    assert all(one["detail"] for one in problem["errors"])


async def test_waiting_for_the_end(site: ApiServer) -> None:
    """With Prefer: wait the answer comes when the job has ended, 201 for a new one; or as it stands after that time."""
    late = await site.post("/v1/jobs", new_job(), headers={"Prefer": "wait=0"})
    assert (late.status, late.headers["Preference-Applied"]) == (202, "wait=0")
    site.output.written.clear()
    waiting = asyncio.ensure_future(
        site.post("/v1/jobs", new_job(unique_key="mine"), headers={"Prefer": "respond-async, wait=900"})
    )
    await asyncio.wait_for(site.output.written.wait(), 20)
    (made,) = [job for job in await site.jobs.find() if job.unique_key == "mine"]
    await site.step(made.id, o.Refused("no such report"))
    reply = await asyncio.wait_for(waiting, 20)
    assert (reply.status, reply.json["state"], reply.json["reason"]) == (201, "failed", "no such report")
    assert reply.headers["Preference-Applied"] == "wait=60"


@pytest.mark.slow
@pytest.mark.parametrize("notified", [True, False])
async def test_waiting_for_a_change(site: ApiServer, notified: bool) -> None:
    """A long poll with an entity tag ends when the job changes, in this process or another; else it ends with 304."""
    job = await site.submitted()
    tag = (await site.get(f"/v1/jobs/{job['id']}")).headers["ETag"]
    same = await site.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": tag, "Prefer": "wait=1"})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
    waiting = asyncio.ensure_future(
        site.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": tag, "Prefer": "wait=30"})
    )
    await asyncio.sleep(0.05)
    await site.step(job["id"], o.Intended("intent"), notified=notified)
    reply = await asyncio.wait_for(waiting, 10)
    assert (reply.status, reply.json["state"]) == (200, "submitting")
    assert reply.headers["ETag"] != tag


async def test_history_and_artifacts(site: ApiServer) -> None:
    """A job's history tells each state with its reason; a job without files has an empty list of them."""
    job = await site.submitted()
    await site.step(job["id"], o.Intended("intent"), o.Accepted("r-1"))
    history = (await site.get(f"/v1/jobs/{job['id']}/history")).json["history"]
    assert [(one["state_from"], one["state"]) for one in history] == [
        (None, "queued"), ("queued", "submitting"), ("submitting", "polling"),
    ]  # fmt: skip
    assert (await site.get(f"/v1/jobs/{job['id']}/artifacts")).json == {"artifacts": [], "next": None}


async def test_what_there_is_not(site: ApiServer) -> None:
    """Numbers of no job, and what is no number, are 404 at every path of a job."""
    for number in ("7", "0", "-1", "abc", "9" * 40, "%00", "1e3", "٣"):
        for path in ("", "/history", "/artifacts"):
            (await site.get(f"/v1/jobs/{number}{path}")).problem(404)
        for action in ("cancel", "retry", "poll"):
            (await site.post(f"/v1/jobs/{number}/{action}")).problem(404)
        (await site.post(f"/v1/jobs/{number}/adopt", {"handle": "r"})).problem(404)


async def test_decisions(any_site: ApiServer) -> None:
    """A person's decisions do what the service does; one that does not fit the state is a conflict."""
    site = any_site
    number = (await site.submitted())["id"]
    await site.step(number, o.Intended("intent"), o.Accepted("r-1", retry_after_s=900.0))
    polled = await site.post(f"/v1/jobs/{number}/poll")
    assert (polled.status, polled.headers["Retry-After"]) == (202, "1")
    stored = await site.stored(number)
    assert stored.hinted
    assert stored.version == 3
    cancelled = await site.post(f"/v1/jobs/{number}/cancel")
    assert (cancelled.status, cancelled.json["cancel_requested"]) == (202, True)
    (await site.post(f"/v1/jobs/{number}/retry")).problem(409)
    (await site.post(f"/v1/jobs/{number}/adopt", {"handle": "r-2"})).problem(409)
    await site.step(number, o.Refused("no"))
    (await site.post(f"/v1/jobs/{number}/cancel")).problem(409)
    (await site.post(f"/v1/jobs/{number}/poll")).problem(409)
    again = await site.post(f"/v1/jobs/{number}/retry")
    assert (again.status, again.json["retry_of"]) == (202, number)
    assert again.headers["Location"] == f"/v1/jobs/{again.json['id']}"


async def test_a_parked_job_adopts(site: ApiServer) -> None:
    """A parked job is let go on with the remote job that a person names; a poll of it is refused."""
    number = (await site.submitted())["id"]
    parked = await site.step(number, o.Intended("intent"), o.Unknown("the connection broke"), o.Undecidable("no list"))
    assert parked.state is State.PARKED
    (await site.post(f"/v1/jobs/{number}/poll")).problem(409)
    missing = await site.post(f"/v1/jobs/{number}/adopt", {})
    assert missing.problem(422)["errors"][0]["pointer"] == "/handle"
    hidden = await site.post(f"/v1/jobs/{number}/adopt", {"handle": "https://x.example/1?[redacted]"})
    assert "is not whole" in hidden.problem(422)["detail"]
    adopted = await site.post(f"/v1/jobs/{number}/adopt", {"handle": "r-77"})
    assert (adopted.status, adopted.json["state"], adopted.json["handle"]) == (202, "polling", "r-77")


@pytest.mark.slow
async def test_who_has_gone_does_not_wait(site: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers beyond those who can wait are told so or answered at once; who hangs up leaves a place."""
    monkeypatch.setattr("tidewaiter.web.api.job_changes.MOST_WAITING", 2)
    path = f"/v1/jobs/{(await site.submitted())['id']}"
    host, port = site.base.removeprefix("http://").split(":")
    held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
    for _, writer in held:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nPrefer: wait=60\r\n\r\n".encode())
    async with asyncio.timeout(20):
        while (refused := await site.get(path, headers={"Prefer": "wait=1"})).status == 200:
            pass  # the two have not come yet
        assert int(refused.headers["Retry-After"]) >= 1
        refused.problem(429)
        made = await site.post("/v1/jobs", new_job(), headers={"Prefer": "wait=60"})
        assert (made.status, "Preference-Applied" in made.headers) == (202, False)
        for _, writer in held:
            writer.close()
        while (await site.get(path, headers={"Prefer": "wait=1"})).status == 429:
            pass  # the listener learns of a closed connection on its own time


async def test_asking_twice_repeats_a_job_once(any_site: ApiServer) -> None:
    """Retries of an ended job are one new job, at once or later; when that has ended, too, it can be retried itself."""
    number = (await any_site.submitted())["id"]
    await any_site.step(number, o.Refused("no"))
    replies = await asyncio.gather(*(any_site.post(f"/v1/jobs/{number}/retry") for _ in range(5)))
    assert {reply.status for reply in replies} == {202}
    (again,) = {reply.json["id"] for reply in replies}
    await any_site.step(again, o.Intended("intent"), o.Unknown("the connection broke"), o.Undecidable("no list"))
    assert (await any_site.post(f"/v1/jobs/{number}/retry")).json["id"] == again
    await any_site.post(f"/v1/jobs/{again}/cancel")
    assert (await any_site.post(f"/v1/jobs/{number}/retry")).json["id"] == again
    assert (await any_site.get(f"/v1/jobs/{number}")).json["retried_as"] == again
    another = await any_site.post(f"/v1/jobs/{again}/retry")
    assert another.json["id"] not in {number, again}
    assert another.json["retry_of"] == again


async def test_a_retry_takes_over_the_unique_key(site: ApiServer) -> None:
    """A request with the key finds the new job; the failed one shows which key it had."""
    first = await site.submitted(unique_key="task-7")
    await site.step(first["id"], o.Refused("no"))
    again = (await site.post(f"/v1/jobs/{first['id']}/retry")).json
    assert again["unique_key"] == "task-7"
    same = await site.submitted(unique_key="task-7")
    assert same["id"] == again["id"]
    old = (await site.get(f"/v1/jobs/{first['id']}")).json
    assert (old["unique_key"], old["former_key"]) == (None, "task-7")


async def test_a_body_that_is_no_object(site: ApiServer) -> None:
    """The fault says what a body must be, without the name of a class of the program."""
    (fault,) = (await site.post("/v1/jobs", [])).problem(422)["errors"]
    assert "must be an object" in fault["detail"]


async def test_failures_are_acknowledged(site: ApiServer) -> None:
    """A failure is listed as unhandled until somebody acknowledges it; its entity tag changes; others are refused."""
    number = (await site.submitted())["id"]
    (await site.post(f"/v1/jobs/{number}/acknowledge")).problem(409)
    (await site.post("/v1/jobs/999/acknowledge")).problem(404)
    await site.step(number, o.Refused("no"))
    assert [job["id"] for job in (await site.get("/v1/jobs?unhandled=true")).json["jobs"]] == [number]
    tag = (await site.get(f"/v1/jobs/{number}")).headers["ETag"]
    reply = await site.post(f"/v1/jobs/{number}/acknowledge")
    assert reply.status == 200
    assert reply.json["handled_at"] is not None
    assert reply.json["handled_by"]
    assert (await site.get(f"/v1/jobs/{number}")).headers["ETag"] != tag
    assert (await site.post(f"/v1/jobs/{number}/acknowledge")).json["handled_at"] == reply.json["handled_at"]
    assert (await site.get("/v1/jobs?unhandled=true")).json["jobs"] == []
    (await site.get("/v1/jobs?unhandled=yes")).problem(400)
    history = (await site.get(f"/v1/jobs/{number}/history")).json["history"]
    assert [entry["outcome"] for entry in history].count("Acknowledged") == 1
