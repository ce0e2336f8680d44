"""Batches through the API: jobs join them, they are shown and listed, and callers wait for their end."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_server import ADMIN, ApiServer, new_job, serving
from tests.web.api.limited_token import ONE, TOKENS
from tidewaiter.domain import outcome as o


async def test_jobs_join_a_batch(any_site: ApiServer) -> None:
    """By a member of the job or of the request; the job's own name counts. The batch shows its counts by state."""
    first = await any_site.submitted(batch="march")
    assert first["batch"] == "march"
    jobs = [new_job(), new_job(batch="april")]
    receipts = (await any_site.post("/v1/jobs/batch", {"batch": "march", "jobs": jobs})).json["jobs"]
    assert [(await any_site.stored(one["id"])).context.batch for one in receipts] == ["march", "april"]
    await any_site.step(first["id"], o.Refused("no"))
    shown = (await any_site.get("/v1/batches/march")).json
    assert (shown["jobs"], shown["open"], shown["ended_at"]) == (2, 1, None)
    assert shown["states"] == {"queued": 1, "failed": 1}
    listed = (await any_site.get("/v1/jobs?batch=march")).json["jobs"]
    assert [one["id"] for one in listed] == [receipts[0]["id"], first["id"]]
    await any_site.step(receipts[0]["id"], o.Refused("no"))
    assert (await any_site.get("/v1/batches/march")).json["ended_at"] is not None
    (await any_site.get("/v1/batches/may")).problem(404)


async def test_pages_of_batches(site: ApiServer) -> None:
    """The newest first; `next` leads to the next page."""
    for name in ("a", "b", "c+d"):
        await site.submitted(batch=name)
    page = (await site.get("/v1/batches?limit=2")).json
    assert [one["name"] for one in page["batches"]] == ["c+d", "b"]
    page = (await site.get(page["next"])).json
    assert [one["name"] for one in page["batches"]] == ["a"]
    assert page["next"] is None
    page = (await site.get("/v1/batches?limit=1&before=b")).json
    assert [one["name"] for one in page["batches"]] == ["a"]
    (await site.get("/v1/batches?limit=0")).problem(400)


@pytest.mark.parametrize("name", ["", " a", "a/b", "ä", "a" * 101, "-a", "a\n"])
async def test_names_that_are_refused(site: ApiServer, name: str) -> None:
    """A name that cannot be in an address is refused, with its place."""
    problem = (await site.post("/v1/jobs", new_job(batch=name))).problem(422)
    assert [one["pointer"] for one in problem["errors"]] == ["/batch"]
    problem = (await site.post("/v1/jobs/batch", {"jobs": [new_job(), new_job(batch=name or " ")]})).problem(422)
    assert [one["pointer"] for one in problem["errors"]] == ["/jobs/1/batch"]


async def test_waiting_for_a_batch(site: ApiServer) -> None:
    """All who wait get it when its last job has ended, or when only jobs are left that wait for a person."""
    first, second = [await site.submitted(batch="march") for _ in range(2)]

    async def wait() -> dict[str, Any]:
        reply = await site.get("/v1/batches/march", headers={"Prefer": "wait=30"})
        assert reply.headers["Preference-Applied"] == "wait=30"
        found: dict[str, Any] = reply.json
        return found

    waits = [asyncio.ensure_future(wait()) for _ in range(3)]
    await site.step(first["id"], o.Refused("no"))
    assert not any(one.done() for one in waits)
    await site.step(second["id"], o.Refused("no"))
    assert {one["states"]["failed"] for one in await asyncio.gather(*waits)} == {2}
    parked = await site.submitted(batch="march")
    waits = [asyncio.ensure_future(wait())]
    await site.step(parked["id"], o.Intended("i"), o.Unknown("lost"), o.Undecidable("nobody can tell"))
    (found,) = await asyncio.gather(*waits)
    assert (found["ended_at"], found["open"]) == (None, 1)


@pytest.mark.slow
async def test_the_end_by_another_process_is_seen(site: ApiServer) -> None:
    """Without a word from this process, the round of once a second sees the end."""
    job = await site.submitted(batch="march")
    wait = asyncio.ensure_future(site.get("/v1/batches/march", headers={"Prefer": "wait=30"}))
    await site.step(job["id"], o.Refused("no"), notified=False)
    assert (await wait).json["open"] == 0


@pytest.mark.slow
async def test_waiting_has_an_end(site: ApiServer) -> None:
    """The batch as it is, when the time is over."""
    await site.submitted(batch="march")
    assert (await site.get("/v1/batches/march", headers={"Prefer": "wait=1"})).json["open"] == 1


async def test_a_limited_token_and_the_batches_of_others(tmp_path: Path, database_url: str) -> None:
    """It sees and counts its own jobs only, and cannot join a batch that has jobs of others."""
    (tmp_path / "boss.token").write_text(ADMIN)
    (tmp_path / "one.token").write_text(ONE)
    one, boss = {"Authorization": f"Bearer {ONE}"}, {"Authorization": f"Bearer {ADMIN}"}
    async with serving(tmp_path, database_url, more=TOKENS) as site:
        await site.submitted(boss, batch="others", account="pier")
        await site.submitted(boss, batch="mixed", account="pier")
        await site.submitted(boss, batch="mixed")
        await site.submitted(one, batch="own")
        names = [batch["name"] for batch in (await site.get("/v1/batches", headers=one)).json["batches"]]
        assert names == ["own", "mixed"]
        (await site.get("/v1/batches/others", headers=one)).problem(404)
        (await site.get("/v1/batches/others", headers={**one, "Prefer": "wait=1"})).problem(404)
        mixed = (await site.get("/v1/batches/mixed", headers=one)).json
        assert (mixed["jobs"], mixed["states"]) == (1, {"queued": 1})
        for name in ("others", "mixed"):
            problem = (await site.post("/v1/jobs", new_job(batch=name), headers=one)).problem(409)
            assert "choose another" in problem["detail"]
            (await site.post("/v1/jobs/batch", {"batch": name, "jobs": [new_job()]}, headers=one)).problem(409)
        assert (await site.post("/v1/jobs", new_job(batch="own"), headers=one)).status == 202


@pytest.mark.slow
async def test_two_limited_tokens_at_one_moment(tmp_path: Path, database_url: str) -> None:
    """Of two callers who make one batch at once, each limited to its own account, exactly one gets the name."""
    tokens = {"one": "quay", "two": "pier"}
    more = ""
    for name, account in tokens.items():
        (tmp_path / f"{name}.token").write_text(name * 12)
        more += f'[tokens.{name}]\nrole = "submit"\ntoken_file = "{name}.token"\naccounts = ["{account}"]\n'
    async with serving(tmp_path, database_url, more=more) as site:

        async def submit(name: str, batch: str) -> int:
            body = new_job(account=tokens[name], batch=batch)
            return (await site.post("/v1/jobs", body, headers={"Authorization": f"Bearer {name * 12}"})).status

        for round_ in range(10):
            statuses = await asyncio.gather(*(submit(name, f"march-{round_}") for name in tokens))
            assert sorted(statuses) == [202, 409]
        batches = {(job.context.batch, job.account) for job in await site.jobs.find(limit=100)}
        assert len(batches) == 10
