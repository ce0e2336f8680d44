"""Labels and the caller's trace: kept with a job, found again, and said in the log, in webhooks and in the manifest."""

import json
from typing import Any

import pytest

from tests.support.api_server import ApiServer, new_job
from tidewaiter.domain.job_json import job_json
from tidewaiter.domain.notification import body_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LABELS = {"dag": "nightly", "team": "ä=b"}


async def test_a_job_keeps_its_labels_and_its_trace(any_site: ApiServer) -> None:
    """They come back with the job, its retry has them as well, and the log of the submit names them."""
    job = await any_site.submitted(labels=LABELS, headers={"traceparent": TRACE})
    assert (job["labels"], job["traceparent"]) == (LABELS, TRACE)
    stored = await any_site.stored(job["id"])
    assert job_json(stored)["labels"] == LABELS
    (line,) = any_site.logged("job.submitted")
    assert (line["labels"], line["traceparent"]) == (LABELS, TRACE)
    event = json.loads(body_of(stored, 1.0, (), 0))["data"]
    assert (event["labels"], event["traceparent"]) == (LABELS, TRACE)


async def test_an_invalid_trace_is_ignored(site: ApiServer) -> None:
    """As the standard says: the job is made all the same, without a trace."""
    job = await site.submitted(headers={"traceparent": "00-nothing"})
    assert job["traceparent"] is None
    assert "traceparent" not in site.logged("job.submitted")[0]


async def test_a_batch_keeps_labels_and_trace(site: ApiServer) -> None:
    """Each job of a batch has labels of its own, and all have the trace of the request."""
    jobs = [new_job(labels={"part": "1"}), new_job()]
    reply = await site.post("/v1/jobs/batch", {"jobs": jobs}, headers={"traceparent": TRACE})
    first, second = [await site.stored(one["id"]) for one in reply.json["jobs"]]
    assert (dict(first.context.labels), dict(second.context.labels)) == ({"part": "1"}, {})
    assert {first.context.traceparent, second.context.traceparent} == {TRACE}


@pytest.mark.parametrize(
    ("labels", "pointer"),
    [
        ({"1x": "y"}, "/labels/1x"),
        ({"a.b/c": ""}, "/labels/a.b~1c"),
        ({"a": 3}, "/labels/a"),
        ({f"a{number}": "x" for number in range(17)}, "/labels"),
    ],
)
async def test_labels_that_are_refused(site: ApiServer, labels: dict[str, Any], pointer: str) -> None:
    """A faulty label is named, in a single job and in a batch, and nothing is stored."""
    problem = (await site.post("/v1/jobs", new_job(labels=labels))).problem(422)
    assert [one["pointer"] for one in problem["errors"]] == [pointer]
    problem = (await site.post("/v1/jobs/batch", {"jobs": [new_job(), new_job(labels=labels)]})).problem(422)
    assert [one["pointer"] for one in problem["errors"]] == [f"/jobs/1{pointer}"]
    assert sum((await site.jobs.counts()).values()) == 0


async def test_jobs_are_found_by_their_labels(any_site: ApiServer) -> None:
    """Several labels must all be there; other filters and pages work with them."""
    both = await any_site.submitted(labels={"dag": "x", "team": "a=b"})
    one = await any_site.submitted(labels={"dag": "x"})
    await any_site.submitted(labels={"dag": "xy"}, account="pier")

    async def numbers(query: str) -> list[int]:
        return [job["id"] for job in (await any_site.get(f"/v1/jobs?{query}")).json["jobs"]]

    assert await numbers("label=dag%3Dx") == [one["id"], both["id"]]
    assert await numbers("label=dag%3Dx&label=team%3Da%3Db") == [both["id"]]
    assert await numbers("label=dag%3Dx&account=pier") == []
    assert await numbers("label=dag%3Dx&account=quay&state=queued&operation=report") == [one["id"], both["id"]]
    first = (await any_site.get("/v1/jobs?label=dag%3Dx&limit=1")).json
    assert [job["id"] for job in (await any_site.get(first["next"])).json["jobs"]] == [both["id"]]
    (await any_site.get("/v1/jobs?label=dag")).problem(400)


async def test_a_secret_in_a_label_is_not_logged(site: ApiServer) -> None:
    """A label is the caller's text; the log redacts it like any other."""
    await site.submitted(labels={"note": "Bearer canary0123456789token"})
    assert "canary0123" not in site.output.getvalue()
    assert site.logged("job.submitted")[0]["labels"] == {"note": "Bearer [redacted]"}
