"""Every route with tokens of every role and of limited accounts; the rule comes from the route table."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import insert

import tidewaiter.bootstrap.web_listener as bootstrap
from tests.support.api_server import ApiServer, serving
from tidewaiter.database.tables import notifications
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.web.callers import Role
from tidewaiter.web.http_server import make_application
from tidewaiter.web.route_rules import RouteRule, rules_of

NAMES = [(role, limited) for role in ("read", "submit", "admin") for limited in (False, True)]
OPEN = {"/healthz", "/readyz", "/login", "/logout", "/static/{name}"}
HIDDEN = re.compile(r"\b(pier|hidden-|hidden reason)")
NAMED = {"schedules": "hidden-weekly", "providers": "harbour", "batches": "hidden-fill", "backfills": "hidden-fill"}
PAGES = (
    "/",
    "/jobs",
    "/jobs/{id}",
    "/accounts",
    "/accounts/{name}",
    "/schedules",
    "/jobs/new",
    "/notifications",
    "/trends",
    "/batches",
    "/batches/{name}",
    "/backfills/new",
    "/backfills/new",
)


def _token(role: str, *, limited: bool) -> str:
    return f"{role}-{'limited' if limited else 'full'}-token-of-some-length"


@dataclass(slots=True)
class Guarded:
    """A site with its routes and a job of the hidden account."""

    site: ApiServer
    routes: Sequence[Any]
    rules: dict[tuple[str, str], RouteRule]
    hidden: int
    own: int

    def rule(self, route: Any) -> RouteRule:
        """What the table says of a route."""
        default = Role.READ if route.method == "GET" else Role.ADMIN
        return self.rules.get((route.method, route.path)) or RouteRule(default, limited=False)

    async def call(self, route: Any, token: str | None) -> tuple[int, str]:
        """The status and the text of a route, asked about the hidden account."""
        kind = next((one for one in NAMED if one in route.path), "accounts")
        name = NAMED.get(kind, "pier")
        path = route.path.replace("{id}", str(self.hidden)).replace("{number}", "0").replace("{name}", name)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if route.path in PAGES and token is not None:
            headers["Accept"] = "text/html"
        body: Any = {"account": "pier", "operation": "report", "params": {"period": "LAST_DAY"}}
        if route.path == "/v1/jobs/batch":
            body = {"jobs": [body]}
        sent = {}
        if route.method == "POST" and route.path.startswith("/v1/"):
            is_new = route.path in ("/v1/jobs", "/v1/jobs/batch")
            sent = {"json": body if is_new else {"handle": "r-9"} if "adopt" in route.path else {}}
        elif route.method == "POST":
            names = {"account": "pier", "operation": "report", "endpoint": "hidden-hook"}
            sent = {"data": {"handle": "r-9", **names}}
        method = "HEAD" if route.path == "/v1/events" else route.method  # a stream has no end
        reply = await self.site.call(method, path, headers=headers, **sent)
        return reply.status, reply.body.decode(errors="replace")  # an archive is no text


@pytest.fixture
async def guarded(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guarded]:
    """A listener with a token of each kind, and two accounts with jobs, files, schedules and notifications."""
    caught: list[Sequence[web.AbstractRouteDef]] = []

    def make(routes: Sequence[web.AbstractRouteDef], *args: Any, **options: Any) -> web.Application:
        caught.append(routes)
        return make_application(routes, *args, **options)

    monkeypatch.setattr(bootstrap, "make_application", make)
    more = '[schedules.hidden-weekly]\naccount = "pier"\noperation = "listing"\ncron = "0 1 * * 1"\n'
    for role, limited in NAMES:
        name = f"{role}-{'limited' if limited else 'full'}"
        (tmp_path / f"{name}.token").write_text(_token(role, limited=limited))
        accounts = 'accounts = ["quay"]\n' if limited else ""
        more += f'[tokens.{name}]\nrole = "{role}"\ntoken_file = "{name}.token"\n{accounts}'
    async with serving(tmp_path, database_url, more=more) as site:
        admin = {"Authorization": f"Bearer {_token('admin', limited=False)}"}
        params = {"period": "LAST_DAY", "note": "hidden-note"}
        wish = {"account": "pier", "params": params, "unique_key": "hidden-key"}
        hidden = int((await site.submitted(admin, **wish))["id"])
        landed = await site.storage.put("pier/hidden.csv", b"hidden")
        file = Artifact(0, "hidden.csv", "hidden", "pier/hidden.csv", landed.size, landed.sha256, "text/csv", 1.0)
        await site.step(hidden, o.Intended("i"), o.Accepted(f"r-{hidden}"), o.Ready(), o.Stored((file,)))
        params = {"period": "LAST_DAY", "note": "${window.from}"}
        span = {"from": "2026-01-01", "to": "2026-01-31", "window": "1d"}
        body = {"account": "pier", "operation": "report", "params": params, "name": "hidden-fill", **span}
        assert (await site.post("/v1/backfills", body, headers=admin)).status == 201
        own, _ = await site.landed(b"own", admin)
        for account in ("pier", "quay"):
            parked = int((await site.submitted(admin, account=account))["id"])
            await site.step(parked, o.Intended(f"i-{account}"), o.Unknown("hidden reason" if account == "pier" else ""))
        row = {
            "endpoint": "hidden-hook", "message_id": "hidden-message", "job_id": hidden, "account": "pier",
            "state": "succeeded", "at": 1.0, "status": "dead", "attempts": 1, "body": "{}",
        }  # fmt: skip
        async with site.database.writing() as connection:
            await connection.execute(insert(notifications), [row])
        yield Guarded(site, caught[0], rules_of(caught[0]), hidden, own)


@pytest.mark.slow
async def test_every_route_takes_the_role_of_its_rule(guarded: Guarded) -> None:
    """Without a token 401, with too low a role 403, with the role neither; the same for a route that is added later."""
    assert len(guarded.routes) > 35
    for route in guarded.routes:
        if route.path in OPEN:
            continue
        rule = guarded.rule(route)
        assert (await guarded.call(route, None))[0] == 401, route
        for role in ("read", "submit", "admin"):
            status, text = await guarded.call(route, _token(role, limited=False))
            enough = Role[role.upper()] >= rule.role
            assert (status == 403) is not enough, (route, role, text)
            assert status not in (401, 500), (route, role, text)


@pytest.mark.slow
async def test_no_route_shows_a_limited_token_another_account(guarded: Guarded) -> None:
    """A route that names the other account is 404 (422 for a new job of the API); no list and no page shows it."""
    for route in guarded.routes:
        rule = guarded.rule(route)
        if route.path in OPEN:
            continue
        for role in ("read", "submit", "admin"):
            status, text = await guarded.call(route, _token(role, limited=True))
            if Role[role.upper()] < rule.role or not rule.limited:
                assert status == 403, (route, role)
            elif "{" in route.path and "providers" not in route.path:
                assert status == 404, (route, role, text)
            elif route.path.startswith("/jobs:"):
                assert status == 303, (route, role, text)  # to the list; the filter has matched no job
            elif route.method == "POST":
                assert status == (422 if route.path.startswith("/v1/") else 404), (route, role, text)
            else:
                assert status == 200, (route, role, text)
                assert not HIDDEN.search(text), (route, role, HIDDEN.search(text))
    theirs = [job for job in await guarded.site.jobs.find() if job.account == "pier"]
    assert [(job.state, job.retried_as, job.cancel_requested) for job in theirs] == [
        (State.RECONCILING, None, False),
        (State.SUCCEEDED, None, False),
    ]


async def test_a_route_that_says_nothing_refuses_limited_tokens(guarded: Guarded) -> None:
    """A new route without a rule is only for admins of all accounts, or readers of all accounts."""
    forgotten = web.get("/forgotten", lambda _: web.Response())  # type: ignore[arg-type,return-value]
    assert rules_of([forgotten]) == {}
    assert guarded.rule(forgotten) == RouteRule(Role.READ, limited=False)


@pytest.mark.parametrize(
    "query", ["", "?account=pier", "?q=hidden-key", "?unique_key=hidden-key", "?operation=report", "?state=succeeded"]
)
async def test_lists_and_searches(guarded: Guarded, query: str) -> None:
    """No filter and no search leads out of the token's accounts, on the API and on the page."""
    headers = {"Authorization": f"Bearer {_token('read', limited=True)}"}
    reply = await guarded.site.get(f"/v1/jobs{query}", headers=headers)
    accounts = [job["account"] for job in reply.json["jobs"]]
    assert set(accounts) <= {"quay"}
    is_own = "pier" not in query and "hidden" not in query
    assert bool(accounts) is is_own
    page = await guarded.site.get(f"/jobs{query}", headers={**headers, "Accept": "text/html"})
    assert page.status == 200
    assert f'/jobs/{guarded.hidden}"' not in page.body.decode()


async def test_search_by_number_and_handle(guarded: Guarded) -> None:
    """The number and the handle of another account's job find nothing."""
    headers = {"Authorization": f"Bearer {_token('read', limited=True)}"}
    for text in (str(guarded.hidden), f"r-{guarded.hidden}"):
        assert (await guarded.site.get(f"/v1/jobs?q={text}", headers=headers)).json["jobs"] == []
    assert (await guarded.site.get(f"/v1/jobs?q={guarded.own}", headers=headers)).json["jobs"] != []


async def test_counts_are_those_of_the_accounts(guarded: Guarded) -> None:
    """The overview and the trends count the own jobs only, and the metrics hold the own series only."""
    headers = {"Authorization": f"Bearer {_token('read', limited=True)}"}
    overview = (await guarded.site.get("/v1/overview", headers=headers)).json
    assert sum(overview["jobs"].values()) == 2
    assert [one["account"] for one in overview["landed"]] == ["quay"]
    for query in ("", "?step=hour", "?account=pier"):
        trends = (await guarded.site.get(f"/v1/trends{query}", headers=headers)).json
        own = [] if "pier" in query else ["quay"]
        assert [one["account"] for one in trends["operations"]] == own
        assert sum(one["landed"] for one in trends["periods"]) == len(own)
    text = (await guarded.site.get("/metrics", headers=headers)).body.decode()
    series = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert series
    assert all('account="quay"' in line for line in series)


async def test_waiting_for_a_hidden_job_ends_at_once(guarded: Guarded) -> None:
    """A wait for a job of another account is 404 as one for a job that there is not, without waiting."""
    headers = {"Authorization": f"Bearer {_token('read', limited=True)}", "Prefer": "wait=60"}
    async with asyncio.timeout(10):
        for number in (guarded.hidden, 999_999):
            reply = await guarded.site.get(f"/v1/jobs/{number}", headers=headers)
            assert reply.problem(404)["detail"] == f"there is no job {number}"


async def test_named_jobs_are_those_of_the_accounts(guarded: Guarded) -> None:
    """A list of named jobs leaves out those of other accounts, and does not wait for them."""
    headers = {"Authorization": f"Bearer {_token('read', limited=True)}", "Prefer": "wait=60"}
    for query, numbers in (
        (f"id={guarded.hidden}&id={guarded.own}", [guarded.own]),
        (f"id={guarded.hidden}&id=999999", []),
        (f"id={guarded.hidden}&until=any", []),
    ):
        async with asyncio.timeout(10):
            reply = await guarded.site.get(f"/v1/jobs?{query}", headers=headers)
        assert [job["id"] for job in reply.json["jobs"]] == numbers
    live = next(job for job in await guarded.site.jobs.find() if job.account == "pier" and job.id != guarded.hidden)
    async with asyncio.timeout(10):
        assert (await guarded.site.get(f"/v1/jobs?id={live.id}", headers=headers)).json["jobs"] == []


async def test_events_are_those_of_the_accounts(guarded: Guarded) -> None:
    """A stream has what happens to the own jobs, and passes over the others."""
    site = guarded.site
    admin = {"Authorization": f"Bearer {_token('admin', limited=False)}"}
    limited = {"Authorization": f"Bearer {_token('read', limited=True)}"}
    async with site.session.get(f"{site.base}/v1/events", headers=limited) as stream, asyncio.timeout(20):
        assert (await stream.content.readline()).startswith(b"retry")
        await site.submitted(admin, account="pier")
        own = (await site.submitted(admin))["id"]
        text = ""
        while f'"job": {own}' not in text:
            text += (await stream.content.readline()).decode()
    assert "pier" not in text


async def test_keys_of_other_accounts_are_not_seen(guarded: Guarded) -> None:
    """A batch with the key of another account's batch is made, and says nothing of the other."""
    site = guarded.site
    key = {"Idempotency-Key": "shared-key"}
    for account, limited in (("pier", False), ("quay", True)):
        job = {"account": account, "operation": "report", "params": {"period": "LAST_DAY"}}
        headers = {"Authorization": f"Bearer {_token('submit', limited=limited)}", **key}
        reply = await site.post("/v1/jobs/batch", {"jobs": [job]}, headers=headers)
        assert reply.status == 202, reply.body
        assert reply.json["jobs"][0]["created"]


async def test_a_limited_admin_decides_about_the_own_jobs(guarded: Guarded) -> None:
    """What is not hidden works as ever."""
    headers = {"Authorization": f"Bearer {_token('admin', limited=True)}"}
    assert (await guarded.site.post(f"/v1/jobs/{guarded.own}/retry", headers=headers)).status == 202
    assert (await guarded.site.post("/v1/accounts/quay/pause", {}, headers=headers)).status == 200
    assert (await guarded.site.get(f"/v1/jobs/{guarded.own}/artifacts/0", headers=headers)).body == b"own"
