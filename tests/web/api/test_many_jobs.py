"""One action on many jobs through the API: by numbers or by a filter, counted first, bounded and audited."""

import io
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import MultiDict
from yarl import URL

from tests.support.api_server import ADMIN, ApiServer, serving
from tidewaiter.clock import SystemClock
from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.log import configure
from tidewaiter.services import JobService, many_jobs
from tidewaiter.services.actors import Actor, Channel
from tidewaiter.services.many_jobs import JobAction, ManyJobs, Selection
from tidewaiter.web.api.job_conditions import CONDITIONS, conditions_of, query_of
from tidewaiter.web.api.job_schemas import ManyJobsFilter
from tidewaiter.web.problems import FieldFault
from tidewaiter.web.ui.job_list_query import read_job_list_query

BEARER = {"Authorization": f"Bearer {ADMIN}"}


async def _failed(site: ApiServer, number: int, account: str = "quay", reason: str = "no such segment") -> list[int]:
    made = [int((await site.submitted(account=account))["id"]) for _ in range(number)]
    for one in made:
        await site.step(one, o.Intended(f"i-{one}"), o.Refused(reason))
    return made


async def _act(site: ApiServer, action: str, **body: Any) -> Any:
    reply = await site.post(f"/v1/jobs:{action}", body)
    assert reply.status == 200, reply.body
    return reply.json


async def test_failures_are_acknowledged_by_a_filter(any_site: ApiServer) -> None:
    """A dry run counts and changes nothing; then exactly the counted jobs are changed, and none is left."""
    site = any_site
    wanted = await _failed(site, 3)
    other = await _failed(site, 1, "pier")
    failures = {"account": "quay", "unhandled": True, "state": ["failed"], "cause": "no such segment"}
    counted = await _act(site, "acknowledge", filter=failures, dry_run=True)
    assert (counted["count"], counted["dry_run"], counted["more"]) == (3, True, False)
    assert [(await site.stored(one)).handled_at for one in wanted] == [None] * 3
    result = await _act(site, "acknowledge", filter=failures)
    assert [one["id"] for one in result["jobs"]] == wanted
    assert all([(await site.stored(one)).handled_at for one in wanted])
    assert (await site.stored(other[0])).handled_at is None
    assert (await _act(site, "acknowledge", filter=failures))["count"] == 0


async def test_jobs_are_retried_by_number(any_site: ApiServer) -> None:
    """Each failed job has one new job; what cannot be retried is refused with a reason, and the rest is done."""
    site = any_site
    failed = await _failed(site, 2)
    waiting = int((await site.submitted())["id"])
    ids = [*failed, failed[0], waiting, 9999]
    preview = await _act(site, "retry", ids=ids, dry_run=True)
    assert [one["id"] for one in preview["jobs"]] == failed
    assert [one["id"] for one in preview["refused"]] == [waiting, 9999]
    result = await _act(site, "retry", ids=ids)
    assert [one["id"] for one in result["jobs"]] == failed
    for one in result["jobs"]:
        again = await site.stored(one["continues_as"])
        assert (again.retry_of, again.state) == (one["id"], State.QUEUED)
    assert [one["reason"] for one in result["refused"]] == [
        f"job {waiting} is still under way: it is queued; cancel it first",
        "there is no job 9999",
    ]
    assert (await _act(site, "retry", filter={"state": ["failed"]}))["count"] == 0, "each is retried once"


async def test_jobs_are_polled_and_cancelled(any_site: ApiServer) -> None:
    """Polling makes them due now; cancelling ends them or stores the request, and leaves ended jobs alone."""
    site = any_site
    made = [int((await site.submitted())["id"]) for _ in range(2)]
    for one in made:
        await site.step(one, o.Intended(f"i-{one}"), o.Accepted(f"r-{one}"), o.Pending("busy", None, 600.0))
    due = (await site.stored(made[0])).due_at
    assert (await _act(site, "poll", filter={"account": "quay", "state": ["polling"]}))["count"] == 2
    polled = await site.stored(made[0])
    assert polled.due_at is not None
    assert due is not None
    assert polled.due_at < due
    assert (await _act(site, "cancel", filter={"account": "quay"}))["count"] == 2
    assert (await site.stored(made[1])).cancel_requested
    assert (await _act(site, "cancel", filter={"account": "quay"}))["count"] == 0, "a request is stored once"


@pytest.mark.parametrize(
    "body",
    [{}, {"filter": {}}, {"ids": [1], "filter": {"account": "quay"}}, {"ids": list(range(1, 502))},
     {"ids": ["1"]}, {"filter": {"unhandled": "yes"}}, {"filter": {"state": ["lost"]}}, {"filter": {"owner": "x"}}],
)  # fmt: skip
async def test_a_selection_must_be_clear(site: ApiServer, body: Any) -> None:
    """Nothing, everything, or both numbers and a filter is refused, so that no mistake selects every job."""
    number = (await _failed(site, 1))[0]
    (await site.post("/v1/jobs:acknowledge", body)).problem(422)
    assert (await site.stored(number)).handled_at is None


async def test_a_filter_has_every_condition_of_the_list(any_site: ApiServer) -> None:
    """Each condition selects what the list shows by the same one; no condition is known to one of the two only."""
    site = any_site
    other = await _failed(site, 1, "pier", "their own fault")
    body: dict[str, Any] = {"account": "quay", "labels": {"dag": "nightly"}, "batch": "march", "unique_key": "k1"}
    wanted = int((await site.submitted(**body))["id"])
    await site.step(wanted, o.Intended("i"), o.Refused("no such segment"))
    made = datetime.fromtimestamp((await site.stored(wanted)).created_at, UTC)
    before, after = ((made + timedelta(seconds=s)).isoformat().replace("+00:00", "Z") for s in (-1, 1))
    both = [*other, wanted]
    conditions: list[tuple[str, Any, list[int]]] = [
        ("account", "quay", [wanted]), ("operation", "report", both), ("state", ["failed"], both),
        ("unique_key", "k1", [wanted]), ("created_after", before, both), ("created_before", after, both),
        ("q", "dag=nightly", [wanted]), ("label", ["dag=nightly"], [wanted]), ("batch", "march", [wanted]),
        ("schedule", "nightly", []), ("cause", "no such segment", [wanted]), ("unhandled", True, both),
    ]  # fmt: skip
    assert {name for name, _, _ in conditions} == {one.name for one in CONDITIONS} == set(ManyJobsFilter.model_fields)
    for name, value, expected in conditions:
        given = "true" if value is True else value[0] if isinstance(value, list) else value
        listed = (await site.get(f"/v1/jobs?{urlencode({name: given})}")).json["jobs"]
        found = await _act(site, "retry", filter={name: value}, dry_run=True)
        assert sorted(one["id"] for one in listed) == expected, name
        assert [one["id"] for one in found["jobs"]] == expected, name
    assert (await _act(site, "retry", filter={"created_before": before}, dry_run=True))["count"] == 0
    refused = (await site.post("/v1/jobs:retry", {"filter": {"created_after": "today", "label": ["dag"]}})).problem(422)
    assert {one["pointer"] for one in refused["errors"]} == {"/filter/created_after", "/filter/label"}


def test_a_filter_and_its_query_say_the_same() -> None:
    """The address of a page keeps every condition of its list."""
    conditions = JobFilter(
        account="a", operation="b", states=frozenset({State.FAILED, State.PARKED}), unique_key="c", created_after=1.5,
        created_before=2.5, search="d", batch="e", schedule="f", cause="g", unhandled=True,
        labels=(("dag", "x"), ("team", "y")),
    )  # fmt: skip
    faults: list[FieldFault] = []
    assert conditions_of(query_of(conditions), faults) == conditions
    assert faults == []
    given = MultiDict((name, one) for name, several in query_of(conditions).items() for one in several)
    query = read_job_list_query(given)
    assert query.filters == conditions
    assert read_job_list_query(URL(query.address()).query).filters == conditions
    assert ("Label: dag=x", query.address(label=["team=y"])) in query.narrowed


async def test_a_request_changes_a_bounded_number(site: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply says that there are more, and the same request continues until there are none; pages are small, too."""
    monkeypatch.setattr(many_jobs, "_PAGE", 2)
    made = await _failed(site, 5)
    log = configure("json", "info", (), stream=io.StringIO())
    service = JobService({}, site.jobs, shards={}, clock=SystemClock(), rand=Random(1), log=log)
    many, failures = ManyJobs(service, JobList(service.jobs)), Selection((), JobFilter(unhandled=True))
    ada = Actor("ada", Channel.API)
    sizes = []
    for _ in range(3):
        result = await many.act(JobAction.ACKNOWLEDGE, failures, actor=ada, most=2)
        sizes.append((len(result.done), result.more))
    assert sizes == [(2, True), (2, True), (1, False)]
    assert all([(await site.stored(one)).handled_by == "ada" for one in made])
    log.close()


async def test_many_jobs_are_audited(tmp_path: Any, database_url: str) -> None:
    """The log has one line with the number of jobs, and each job's history names the actor."""
    async with serving(tmp_path, database_url, tokens=True) as site:
        number = int((await site.submitted(BEARER))["id"])
        await site.step(number, o.Intended("i"), o.Refused("no"))
        reply = await site.post("/v1/jobs:acknowledge", {"filter": {"unhandled": True}}, headers=BEARER)
        assert reply.json["count"] == 1
        line = site.logged("admin.acted")[-1]
        assert (line["caller"], line["target"], line["outcome"]) == ("boss", "1 jobs by filter", "done")
        history = (await site.get(f"/v1/jobs/{number}/history", headers=BEARER)).json["history"]
        assert ("Acknowledged", "by boss (api, 127.0.0.1)") in [(one["outcome"], one["detail"]) for one in history]


async def test_the_overview_has_one_group_for_each_cause(any_site: ApiServer) -> None:
    """A group has its evidence, what is wrong with the account now, and its remedies, the safest first."""
    site = any_site
    failed = await _failed(site, 2, reason="HTTP 503: down")
    await site.post("/v1/accounts/quay/pause", {"reason": "their maintenance"})
    (group,) = (await site.get("/v1/overview")).json["unhandled"]
    assert (group["account"], group["cause"], group["jobs"], group["examples"]) == (
        "quay", "HTTP 503: down", 2, failed[::-1],
    )  # fmt: skip
    assert group["trouble"] == "Account quay is paused, by request: their maintenance"
    assert group["remedies"] == ["open account", "retry all", "acknowledge all"]
    await _act(site, "acknowledge", filter={"unhandled": True, "cause": group["cause"], "account": group["account"]})
