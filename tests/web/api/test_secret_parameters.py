"""Secret parameters: no route and no page shows one, and what is made from a job or schedule has them all the same."""

import html
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from sqlalchemy import select

import tidewaiter.bootstrap.web_listener as listener
from tests.support.api_server import ApiServer, serving
from tests.support.secret_spec import ACCOUNT, CANARY, write_spec
from tidewaiter.database.sealing import Seal, new_key
from tidewaiter.database.tables import backfills, job_terms, jobs
from tidewaiter.domain import outcome as o
from tidewaiter.domain.search_terms import searched_terms
from tidewaiter.web.http_server import make_application

pytestmark = pytest.mark.slow

BODY = {"account": "safe", "operation": "report", "params": {"day": "2026-01-31", "password": CANARY}}
SPAN = {"from": "2026-01-01", "to": "2026-01-03", "window": "1d", "name": "fill"}
FORM = {"account": "safe", "operation": "report", "p.day": "2026-02-01"}
NAMES = {"schedules": "sealed", "providers": "vault", "batches": "fill", "backfills": "fill"}


@dataclass(slots=True)
class Vault:
    """A listener whose account has jobs with secrets, all its routes, and the key of its database."""

    site: ApiServer
    routes: Sequence[Any]
    seal: Seal
    job: int

    async def secrets_of(self, number: int) -> dict[str, str]:
        """The secrets that a job would send."""
        opened = self.seal.secrets((await self.site.stored(number)).secrets)
        assert opened is not None
        return dict(opened)


def written(text: str) -> list[str]:
    """The secret as it might be written, if it stands in the text."""
    forms = {CANARY, quote(CANARY, safe=""), html.escape(CANARY), CANARY.replace("/", "\\/")}
    return [one for one in forms if one in text]


@pytest.fixture
async def vault(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Vault]:
    """A failed job, a schedule, a batch that is a backfill, and a parked job; all have the secret."""
    caught: list[Sequence[web.AbstractRouteDef]] = []

    def make(routes: Sequence[web.AbstractRouteDef], *args: Any, **options: Any) -> web.Application:
        caught.append(routes)
        return make_application(routes, *args, **options)

    monkeypatch.setattr(listener, "make_application", make)
    write_spec(tmp_path)
    key = new_key()
    (tmp_path / "db.key").write_text(key)
    (tmp_path / "db.key").chmod(0o600)
    more = f'{ACCOUNT}\n[notifications.hook]\nurl = "http://127.0.0.1:9/hook"\nsecret = "whsec_{"k" * 40}"\n'
    async with serving(tmp_path, sqlite_url, more=more, key_file="db.key") as site:
        reply = await site.post("/v1/jobs", {**BODY, "labels": {"dag": "x"}})
        assert reply.status == 202, reply.body
        assert reply.json["params"] == {"day": "2026-01-31", "password": "***"}
        job = int(reply.json["id"])
        await site.step(job, o.Intended("i"), o.Refused("no"))
        params = {"day": "${window.from}", "password": CANARY}
        assert (await site.post("/v1/backfills", {**BODY, "params": params, **SPAN})).status == 201
        parked = await site.post("/v1/jobs", {**BODY, "batch": "fill-2"})
        await site.step(int(parked.json["id"]), o.Intended("j"), o.Unknown("lost"))
        yield Vault(site, caught[0], Seal([key]), job)


async def test_no_route_shows_a_secret(vault: Vault) -> None:
    """Every route of the API and every page, those that will be added too; and neither the log nor the database."""
    assert len(vault.routes) > 35
    for route in vault.routes:
        if route.method != "GET":
            continue
        kind = next((one for one in NAMES if one in route.path), "")
        path = route.path.replace("{id}", str(vault.job)).replace("{number}", "0")
        path = path.replace("{name}", NAMES.get(kind, "safe"))
        for accept in ("text/html", "application/json"):
            method = "HEAD" if route.path == "/v1/events" else "GET"
            reply = await vault.site.call(method, path, headers={"Accept": accept})
            assert not written(f"{reply.headers} {reply.body.decode(errors='replace')}"), (route, accept)
    forms = (f"/jobs/new?from={vault.job}", "/jobs/new?schedule=sealed", "/jobs/new?account=safe&operation=report")
    for path in (*forms, "/backfills/new?account=safe&operation=report"):
        reply = await vault.site.get(path, headers={"Accept": "text/html"})
        assert reply.status == 200
        assert 'type="password" name="p.password" value=""' in reply.body.decode(), path
        assert not written(reply.body.decode()), path
    assert '"password":"***"' in vault.site.output.getvalue().replace(" ", "")
    assert not written(vault.site.output.getvalue())
    for file in vault.site.folder.glob("tidewaiter.db*"):
        assert not written(file.read_bytes().decode("latin-1")), file
    async with vault.site.database.reading() as connection:
        terms = set((await connection.execute(select(job_terms.c.term))).scalars())
        stored = [row[0] for row in await connection.execute(select(jobs.c.secrets))]
        stored += [row[0] for row in await connection.execute(select(backfills.c.secrets))]
    assert terms.isdisjoint(searched_terms(f"password={CANARY}") | searched_terms("password=***"))
    assert searched_terms("day=2026-01-31") & terms
    assert all(one.startswith("sealed:1:") for one in stored)


async def test_what_repeats_a_job_has_its_secret(vault: Vault) -> None:
    """A retry, a form with an empty password, a run of a schedule; a form with another password has that one."""
    site = vault.site
    again = await site.post(f"/v1/jobs/{vault.job}/retry")
    assert await vault.secrets_of(again.json["id"]) == {"password": CANARY}
    run = await site.post("/v1/schedules/sealed/run", {})
    assert await vault.secrets_of(run.json["id"]) == {"password": CANARY}
    made = []
    for more in (
        {"like": str(vault.job), "p.password": ""},
        {"schedule": "sealed", "p.password": ""},
        {"like": str(vault.job), "p.password": "another"},
        {"p.password": ""},
    ):
        reply = await site.post("/jobs/new", data={**FORM, **more})
        assert reply.status == 303, reply.body
        made.append(await vault.secrets_of(int(reply.headers["Location"].split("/")[2].split("?")[0])))
    assert made == [{"password": CANARY}, {"password": CANARY}, {"password": "another"}, {}]


async def test_the_secret_of_another_account_is_not_taken(vault: Vault) -> None:
    """A form may not take the secret of a job of another operation."""
    data = {"account": "quay", "operation": "listing", "like": str(vault.job)}
    assert (await vault.site.post("/jobs/new", data=data)).status == 409


async def test_what_would_show_a_secret_is_refused(vault: Vault) -> None:
    """A unique key or label with it; and the stars, which a program has copied from a job. No refusal shows it."""
    for more, where in (
        ({"unique_key": f"day-{CANARY}"}, "unique_key"),
        ({"labels": {"x": CANARY}}, "labels"),
        ({"params": {"day": "x", "password": "***"}}, "password"),
        ({"params": {"day": "x", "password": CANARY * 5}}, "password"),
    ):
        problem = (await vault.site.post("/v1/jobs", {**BODY, **more})).problem(422)
        assert where in str(problem["errors"]), problem
        assert not written(str(problem))


async def test_a_key_with_another_secret_is_another_request(vault: Vault) -> None:
    """The same request is the same job; with another secret it is refused, as with any other parameter."""
    headers = {"Idempotency-Key": '"once"'}
    first = await vault.site.post("/v1/jobs", BODY, headers=headers)
    assert (await vault.site.post("/v1/jobs", BODY, headers=headers)).json["id"] == first.json["id"]
    other = {**BODY, "params": {"day": "2026-01-31", "password": "another"}}
    (await vault.site.post("/v1/jobs", other, headers=headers)).problem(422)
