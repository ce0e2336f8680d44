"""Specs of the catalogue whose files are requests, or are listed early, and servers as the documentation has them."""

import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import listening, run
from tidewaiter.domain.job import State

TOKEN = "canary-token"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Server:
    """Records every request, and refuses those without the credentials, unless they are for a file host."""

    def __init__(self, *routes: web.RouteDef, header: tuple[str, str] = ("Authorization", f"Bearer {TOKEN}")) -> None:
        self.asked: list[str] = []
        self._header = header
        self.app = web.Application(middlewares=[self._recorded])
        self.app.add_routes(routes)

    @web.middleware
    async def _recorded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        name, value = self._header
        is_authorized = request.headers.get(name) == value
        assert is_authorized is not request.path.startswith("/signed/"), request.path
        return await handler(request)


def _replies(*bodies: object, status: int = 200) -> Handler:
    left = list(bodies)

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(left.pop(0) if len(left) > 1 else left[0], status=status)

    return handler


@pytest.mark.slow
async def test_databricks_follows_the_chunks(tmp_path: Path) -> None:
    """Each reply names the next chunk; links are followed without the token, and an expired one is asked for anew."""
    expired = [True]

    async def chunk(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        after = (
            {}
            if number == 2
            else {"next_chunk_internal_link": f"/api/2.0/sql/statements/s1/result/chunks/{number + 1}"}
        )
        link = {"chunk_index": number, "row_count": 2, "external_link": f"/signed/{number}?X-Amz-Signature=s", **after}
        return web.json_response({"external_links": [link]})

    async def file(request: web.Request) -> web.Response:
        if request.match_info["number"] == "2" and expired and expired.pop():
            body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            return web.Response(status=403, text=body, content_type="application/xml")
        return web.Response(text=f"row {request.match_info['number']}\n", content_type="text/csv")

    at = "/api/2.0/sql/statements"
    state = [{"status": {"state": one}} for one in ("PENDING", "RUNNING")]
    done = {"status": {"state": "SUCCEEDED"}, "manifest": {"total_chunk_count": 3}}
    server = _Server(
        web.post(at, _replies({"statement_id": "s1", "status": {"state": "PENDING"}})),
        web.get(f"{at}/s1", _replies(*state, done)),
        web.get(f"{at}/s1/result/chunks/{{number}}", chunk),
        web.get("/signed/{number}", file),
    )
    async with listening(server.app) as url:
        settings = {"host": url, "token": TOKEN, "warehouse": "w1"}
        landed = await run(tmp_path, "databricks-sql", settings, "query", {"statement": "SELECT 1"})
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    assert landed.files == {f"00{n + 1}-chunk-{n}.csv": f"row {n}\n".encode() for n in range(3)}
    assert [one.count for one in landed.artifacts] == [2, 2, 2]
    assert server.asked.count("GET /signed/0") == 1
    assert server.asked.count("GET /signed/2") == 2


@pytest.mark.slow
async def test_intercom_wants_an_accept_header(tmp_path: Path) -> None:
    """Its file is packed, and lands as CSV."""
    content = b"user_id,receipt\n1,2\n"

    async def download(request: web.Request) -> web.Response:
        if request.headers["Accept"] != "application/octet-stream":
            return web.json_response({"type": "error.list", "errors": [{"message": "not acceptable"}]}, status=406)
        return web.Response(body=gzip.compress(content), content_type="application/octet-stream")

    async def create(request: web.Request) -> web.Response:
        assert await request.json() == {"created_at_after": 1, "created_at_before": 2}
        return web.json_response({"job_identifier": "j1", "status": "pending"})

    states = [{"status": "pending"}, {"status": "in_progress"}]
    done = {"status": "completed", "download_url": "/download/content/data/j1"}
    server = _Server(
        web.post("/export/content/data", create),
        web.get("/export/content/data/j1", _replies(*states, done)),
        web.get("/download/content/data/j1", download),
    )
    async with listening(server.app) as url:
        landed = await run(
            tmp_path, "intercom", {"server": url, "token": TOKEN}, "content", {"after": "1", "before": "2"}
        )
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    assert landed.files == {"content.csv": content}


@pytest.mark.slow
async def test_twilio_redirects_to_the_file_of_each_day(tmp_path: Path) -> None:
    """One file for each day that has records; the redirect is followed without the password."""

    async def create(request: web.Request) -> web.Response:
        form = await request.post()
        assert (form["StartDay"], form["EndDay"]) == ("2026-01-01", "2026-01-03")
        assert str(form["FriendlyName"]).startswith("tidewaiter-")
        return web.json_response({"job_sid": "JS1"}, status=201)

    async def day(request: web.Request) -> web.Response:
        location = f"{elsewhere}/signed/{request.match_info['day']}"
        return web.json_response({"redirect_to": location}, status=307, headers={"Location": location})

    async def file(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(f'{{"day": "{request.match_info["day"]}"}}\n'.encode()))

    running = {"job_sid": "JS1", "details": [{"status": "Running", "count": 3, "days": []}]}
    details = [
        {"status": "Completed", "count": 2, "days": ["2026-01-01", "2026-01-03"]},
        {"status": "CompletedEmptyRecords", "count": 1, "days": ["2026-01-02"]},
    ]
    host = _Server(web.get("/signed/{day}", file))
    server = _Server(
        web.post("/v1/Exports/Calls/Jobs", create),
        web.get("/v1/Exports/Jobs/JS1", _replies(running, {"job_sid": "JS1", "details": details})),
        web.get("/v1/Exports/Calls/Days/{day}", day),
        header=("Authorization", "Basic QUMxOmNhbmFyeS10b2tlbg=="),
    )
    async with listening(host.app) as elsewhere, listening(server.app) as url:
        settings = {"server": url, "account_sid": "AC1", "auth_token": TOKEN}
        days = {"type": "Calls", "start": "2026-01-01", "end": "2026-01-03"}
        landed = await run(tmp_path, "twilio-bulk-export", settings, "records", days)
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    assert landed.files == {
        "001-2026-01-01.ndjson": b'{"day": "2026-01-01"}\n', "002-2026-01-03.ndjson": b'{"day": "2026-01-03"}\n'
    }  # fmt: skip


@pytest.mark.slow
async def test_dagster_is_polled_with_post_and_its_reply_is_the_file(tmp_path: Path) -> None:
    """GraphQL: every request is a POST to one address, and the reply that says ready is the result, as it came."""
    states = ["QUEUED", "STARTED", "SUCCESS"]
    last: list[bytes] = []

    async def graphql(request: web.Request) -> web.Response:
        body = await request.json()
        if "launchRun" in body["query"]:
            assert body["variables"]["selector"]["jobName"] == "nightly"
            return web.json_response(
                {"data": {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}}
            )
        assert body["variables"] == {"runId": "r1"}
        reply = {"data": {"runOrError": {"__typename": "Run", "runId": "r1", "status": states.pop(0)}}}
        last.append(json.dumps(reply).encode())
        return web.Response(body=last[-1], content_type="application/json")

    server = _Server(web.post("/graphql", graphql), header=("Dagster-Cloud-Api-Token", TOKEN))
    async with listening(server.app) as url:
        settings = {"server": url, "auth": "token", "token": TOKEN}
        landed = await run(tmp_path, "dagster", settings, "run", {"job": "nightly", "location": "etl"})
    assert (landed.job.state, landed.job.remote_status) == (State.SUCCEEDED, "SUCCESS")
    assert landed.files == {"nightly.json": last[-1]}


@pytest.mark.slow
async def test_fhir_partial_manifests(tmp_path: Path) -> None:
    """The first files land while the export runs; the manifests are followed, and each file is fetched once."""
    polls: list[str] = []

    def listed(*names: str, after: str | None = None) -> dict[str, object]:
        link = [] if after is None else [{"relation": "next", "url": after}]
        output = [{"type": "Patient", "url": f"/fhir/files/{name}.ndjson"} for name in names]
        return {
            "transactionTime": "2026-01-01T00:00:00Z",
            "requiresAccessToken": True,
            "output": output,
            "error": [],
            "link": link,
        }

    async def kick_off(request: web.Request) -> web.Response:
        assert request.query["allowPartialManifests"] == "true"
        return web.Response(status=202, headers={"Content-Location": "/fhir/status/1"})

    async def status(_: web.Request) -> web.Response:
        polls.append("poll")
        if len(polls) < 2:
            return web.Response(status=202)
        first = listed("a", after="/fhir/manifests/2" if len(polls) > 4 else None)
        return web.json_response(first, status=202 if len(polls) < 8 else 200)

    async def file(request: web.Request) -> web.Response:
        polls.append(request.match_info["name"])
        return web.Response(text=json.dumps({"id": request.match_info["name"]}) + "\n")

    server = _Server(
        web.get("/fhir/Patient/$export", kick_off),
        web.get("/fhir/status/1", status),
        web.get("/fhir/manifests/2", _replies(listed("b", "c"))),
        web.get("/fhir/files/{name}.ndjson", file),
    )
    async with listening(server.app) as url:
        settings = {"base_url": f"{url}/fhir", "token": TOKEN}
        landed = await run(tmp_path, "fhir-bulk", settings, "export", {"manifests": "partial"})
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    assert sorted(landed.files.values()) == [b'{"id": "a"}\n', b'{"id": "b"}\n', b'{"id": "c"}\n']
    assert [one for one in polls if one != "poll"] == ["a", "b", "c"]
    assert polls[-1] == "poll"
