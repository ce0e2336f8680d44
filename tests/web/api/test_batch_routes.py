"""Batches: all or none, all faults at once, and absurd sizes are refused unparsed."""

import asyncio
import io
import json
import time

import pytest

from tests.support.api_server import ApiServer, new_job


async def test_a_batch(any_site: ApiServer) -> None:
    """A batch is answered with a receipt for each job in its order; a key that is known gives its first job."""
    known = await any_site.submitted(unique_key="k-1")
    wanted = [new_job(), new_job(unique_key="k-1"), new_job(account="pier", operation="listing", params={})]
    reply = await any_site.post("/v1/jobs/batch", {"jobs": [*wanted, new_job(unique_key="n"), new_job(unique_key="n")]})
    assert reply.status == 202, reply.body
    receipts = reply.json["jobs"]
    assert [one["created"] for one in receipts] == [True, False, True, True, False]
    assert receipts[1]["id"] == known["id"]
    assert receipts[3]["id"] == receipts[4]["id"]
    for one in receipts:
        assert (await any_site.get(one["location"])).json["id"] == one["id"]
    assert int(reply.headers["Retry-After"]) >= 1


async def test_all_or_none(site: ApiServer) -> None:
    """One bad job among good ones, and nothing is stored; faults of shape and of parameters point at theirs."""
    jobs = [new_job(), new_job(params={"period": "NEVER"}), new_job(account="nobody"), new_job(params={})]
    problem = (await site.post("/v1/jobs/batch", {"jobs": jobs})).problem(422)
    pointers = [one["pointer"] for one in problem["errors"]]
    assert pointers == ["/jobs/1/params/period", "/jobs/2/account", "/jobs/3/params/period"]
    problem = (await site.post("/v1/jobs/batch", {"jobs": [new_job(), {"account": 3}]})).problem(422)
    assert {one["pointer"] for one in problem["errors"]} == {"/jobs/1/account", "/jobs/1/operation"}
    (await site.post("/v1/jobs/batch", {"jobs": []})).problem(422)
    assert sum((await site.jobs.counts()).values()) == 0


async def test_no_more_than_a_hundred_faults(site: ApiServer) -> None:
    """A thousand faults are not looked for: a hundred of them are told, of parameters as of the shape."""
    problem = (await site.post("/v1/jobs/batch", {"jobs": [new_job(params={})] * 1000})).problem(422)
    assert len(problem["errors"]) == 100
    assert "at least 100 faults" in problem["detail"]
    problem = (await site.post("/v1/jobs/batch", {"jobs": [{}] * 1000})).problem(422)
    assert len(problem["errors"]) == 100


@pytest.mark.slow
async def test_others_are_served_beside_a_batch_of_faults(site: ApiServer) -> None:
    """A batch of nothing but faults costs little, and nobody else waits for it."""
    jobs = [new_job() | {f"x{number}": 0 for number in range(30)} for _ in range(9_000)]
    body = json.dumps({"jobs": [{f"x{number}": 0 for number in range(100_000)}, *jobs]}).encode()
    headers = {"Content-Type": "application/json"}
    task = asyncio.ensure_future(site.call("POST", "/v1/jobs/batch", data=io.BytesIO(body), headers=headers))
    waits: list[float] = []
    while not task.done():
        begun_at = time.monotonic()
        assert (await site.get("/healthz")).status == 200
        waits.append(time.monotonic() - begun_at)
    problem = (await task).problem(422)
    assert len(problem["errors"]) == 100
    assert problem["errors"][0]["pointer"] == "/jobs/0/x0"
    assert max(waits) < 2.0


async def test_a_batch_with_a_key(any_site: ApiServer) -> None:
    """A batch that is sent again with its key makes nothing; another batch with that key is refused as a whole."""
    headers = {"Idempotency-Key": '"night"'}
    batch = {"jobs": [new_job(), new_job(account="pier"), new_job()]}
    first = await any_site.post("/v1/jobs/batch", batch, headers=headers)
    again = await any_site.post("/v1/jobs/batch", batch, headers=headers)
    assert [one["id"] for one in first.json["jobs"]] == [one["id"] for one in again.json["jobs"]]
    assert not any(one["created"] for one in again.json["jobs"])
    assert again.headers["Idempotent-Replayed"] == "true"
    changed = {"jobs": [new_job(operation="listing", params={}), *batch["jobs"][1:]]}
    longer = {"jobs": [*batch["jobs"], new_job()]}
    shorter = {"jobs": batch["jobs"][:1]}
    for other in (changed, longer, shorter):
        problem = (await any_site.post("/v1/jobs/batch", other, headers=headers)).problem(422)
        assert problem["errors"][0]["parameter"] == "Idempotency-Key"
    own = {"jobs": [new_job(), new_job(unique_key="own")]}
    problem = (await any_site.post("/v1/jobs/batch", own, headers=headers)).problem(422)
    assert problem["errors"][0]["pointer"] == "/jobs/1/unique_key"
    assert sum((await any_site.jobs.counts()).values()) == 3


async def test_batches_with_one_key_at_once(any_site: ApiServer) -> None:
    """Of different batches that come with one key at the same time one is made, and the others are refused."""
    headers = {"Idempotency-Key": '"night"'}
    batches = [[new_job()] * 3, [new_job()] * 2, [new_job(account="pier")], [new_job(operation="listing", params={})]]
    replies = await asyncio.gather(
        *(any_site.post("/v1/jobs/batch", {"jobs": jobs}, headers=headers) for jobs in batches)
    )
    assert sorted(reply.status for reply in replies) == [202, 422, 422, 422]
    (made,) = [reply.json["jobs"] for reply in replies if reply.status == 202]
    assert sum((await any_site.jobs.counts()).values()) == len(made)


@pytest.mark.slow
async def test_ten_thousand_and_not_one_more(site: ApiServer) -> None:
    """The largest batch is taken in one transaction; one job more is refused."""
    jobs = [new_job()] * 10_000
    reply = await site.post("/v1/jobs/batch", {"jobs": jobs})
    assert reply.status == 202
    assert len({one["id"] for one in reply.json["jobs"]}) == 10_000
    problem = (await site.post("/v1/jobs/batch", {"jobs": [*jobs, new_job()]})).problem(422)
    assert problem["errors"][0]["pointer"] == "/jobs"


@pytest.mark.slow
async def test_a_million_are_refused_unread(site: ApiServer) -> None:
    """A million jobs are refused by their size, and a million empty ones by their number, before they are parsed."""
    million = json.dumps({"jobs": [new_job()] * 300_000}).encode()
    headers = {"Content-Type": "application/json"}
    for body in (million, b'{"jobs":[' + b"{}," * 1_000_000 + b"{}]}"):
        (await site.call("POST", "/v1/jobs/batch", data=io.BytesIO(body), headers=headers)).problem(413)
