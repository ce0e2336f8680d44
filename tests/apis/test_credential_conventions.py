"""APIs with signed tokens, or with files on a host of their own, end to end: the servers, and the files that land.

The servers are written from the APIs' documentation, which the specs name.
"""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.one_export import listening, run
from tidewaiter.domain.job import State

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


# --- report runs: a key, and a file on another host -------------------------------------------------------------------


class _Reports:
    """The API, and its file host, which is another origin and needs the same key."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.files = ""
        self.states = ["pending", "succeeded"]
        self.app, self.file_host = web.Application(), web.Application()
        self.app.router.add_post("/v1/reporting/report_runs", self._create)
        self.app.router.add_get("/v1/reporting/report_runs/frr_1", self._state)
        self.file_host.router.add_get("/v1/files/file_1/contents", self._file)

    @staticmethod
    def _authorized(request: web.Request) -> None:
        if request.headers.get("Authorization") != "Bearer canary-key":
            raise web.HTTPUnauthorized

    async def _create(self, request: web.Request) -> web.Response:
        self._authorized(request)
        form = await request.post()
        assert dict(form) == {"report_type": "balance.summary.1", "parameters[interval_start]": "5"}
        self.keys.append(request.headers["Idempotency-Key"])
        if len(self.keys) == 1:
            error = {"code": "idempotency_key_in_use", "message": "in progress"}
            return web.json_response({"error": error}, status=409)
        return web.json_response({"id": "frr_1", "status": "pending"})

    async def _state(self, request: web.Request) -> web.Response:
        self._authorized(request)
        status = self.states.pop(0)
        file = {"url": f"{self.files}/v1/files/file_1/contents", "filename": "balance.csv", "size": 4}
        return web.json_response({"id": "frr_1", "status": status, "result": file if status == "succeeded" else None})

    async def _file(self, request: web.Request) -> web.Response:
        self._authorized(request)
        return web.Response(body=b"a,b\n", content_type="text/csv")


_REPORT = {"report_type": "balance.summary.1", "interval_start": "5"}


@pytest.mark.slow
async def test_stripe_report_runs(tmp_path: Path) -> None:
    """The declared file host gets the key; a repeated submit has the same idempotency key."""
    api = _Reports()
    async with listening(api.app) as server, listening(api.file_host) as files:
        api.files = files
        settings = {"key": "canary-key", "server": server, "files": files}
        landed = await run(tmp_path, "stripe-reports", settings, "report", _REPORT)
    assert (landed.job.state, landed.files) == (State.SUCCEEDED, {"balance.csv": b"a,b\n"})
    assert len(api.keys) == 2
    assert len(set(api.keys)) == 1


@pytest.mark.slow
async def test_stripe_names_a_file_elsewhere(tmp_path: Path) -> None:
    """A host that the spec does not declare gets no key, whatever the API says."""
    api = _Reports()
    asked: list[dict[str, str]] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(dict(request.headers))
        return web.Response(body=b"a,b\n", content_type="text/csv")

    evil = web.Application()
    evil.router.add_get("/v1/files/file_1/contents", elsewhere)
    async with listening(api.app) as server, listening(evil) as address:
        api.files = address
        settings = {"key": "canary-key", "server": server}
        landed = await run(tmp_path, "stripe-reports", settings, "report", _REPORT)
    assert landed.job.state is State.SUCCEEDED
    assert len(asked) == 1
    assert "canary" not in str(asked)


# --- extracts: a service account's assertion, and a file in a bucket --------------------------------------------------


class _Extracts:
    """The token endpoint, the API and the bucket, each an origin of its own."""

    def __init__(self) -> None:
        self.assertions: list[dict[str, Any]] = []
        self.origins: dict[str, str] = {}
        self.jobs: list[str] = []
        self.deleted: list[str] = []
        self.states = ["PENDING", "RUNNING", "DONE"]
        self.login, self.api, self.bucket = web.Application(), web.Application(), web.Application()
        self.login.router.add_post("/token", self._token)
        jobs = "/bigquery/v2/projects/p-1/jobs"
        self.api.router.add_post(jobs, self._insert)
        self.api.router.add_get(jobs + "/{id}", self._get)
        self.bucket.router.add_get("/storage/v1/b/out/o/{name}", self._object)
        self.bucket.router.add_delete("/storage/v1/b/out/o/{name}", self._delete)
        self.bucket.router.add_get("/download/storage/v1/b/out/o/{name}", self._media)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        self.assertions.append(
            jwt.decode(str(form["assertion"]), KEY.public_key(), ["RS256"], audience=f"{self.origins['login']}/token")
        )
        return web.json_response({"access_token": "canary-token", "expires_in": 3599})

    @staticmethod
    def _authorized(request: web.Request) -> None:
        if request.headers.get("Authorization") != "Bearer canary-token":
            raise web.HTTPUnauthorized

    async def _insert(self, request: web.Request) -> web.Response:
        self._authorized(request)
        body = await request.json()
        assert body["configuration"]["extract"]["destinationUris"] == ["gs://out/shop/orders.csv"]
        job = body["jobReference"]["jobId"]
        if job in self.jobs:
            error = {"message": f"Already Exists: Job p-1:EU.{job}", "errors": [{"reason": "duplicate"}]}
            return web.json_response({"error": error}, status=409)
        self.jobs.append(job)
        raise web.HTTPBadGateway  # the job is made all the same

    async def _get(self, request: web.Request) -> web.Response:
        self._authorized(request)
        assert request.match_info["id"] in self.jobs
        assert request.query["location"] == "EU"
        return web.json_response({"status": {"state": self.states.pop(0)}})

    async def _object(self, request: web.Request) -> web.Response:
        self._authorized(request)
        assert request.raw_path.endswith("/o/shop%2Forders.csv")
        url = f"{self.origins['bucket']}/download/storage/v1/b/out/o/shop%2Forders.csv?generation=1&alt=media"
        return web.json_response({"name": "shop/orders.csv", "mediaLink": url})

    async def _media(self, request: web.Request) -> web.Response:
        self._authorized(request)
        return web.Response(body=b"id\n1\n", content_type="text/csv")

    async def _delete(self, request: web.Request) -> web.Response:
        self._authorized(request)
        self.deleted.append(request.match_info["name"])
        return web.Response(status=204)


@pytest.mark.slow
async def test_bigquery_extract(tmp_path: Path) -> None:
    """A submit whose reply got lost makes no second job; the file comes from the bucket, and is deleted if wanted."""
    api = _Extracts()
    async with listening(api.login) as login, listening(api.api) as server, listening(api.bucket) as bucket:
        api.origins = {"login": login, "bucket": bucket}
        settings = {
            "project": "p-1",
            "client_email": "export@p-1.example",
            "key_id": "k-1",
            "private_key": PEM,
            "location": "EU",
            "server": server,
            "storage": bucket,
            "login": login,
        }
        params = {"dataset": "shop", "table": "orders", "bucket": "out", "object": "shop/orders.csv"}
        landed = await run(tmp_path, "bigquery-extract", settings, "extract", params, clean=True)
    assert landed.job.state is State.SUCCEEDED
    assert list(landed.files.values()) == [b"id\n1\n"]
    assert len(api.jobs) == 1
    assert landed.job.handle == api.jobs[0]
    assert api.deleted == ["shop/orders.csv"]
    (claims,) = api.assertions
    assert (claims["iss"], claims["scope"]) == (
        "export@p-1.example",
        "https://www.googleapis.com/auth/cloud-platform",
    )
    assert claims["exp"] - claims["iat"] == 3600


# --- statements: a token of one's own, and pages by Link --------------------------------------------------------------


class _Statements:
    """Runs one statement; its rows come in three partitions."""

    def __init__(self) -> None:
        self.issuers: set[str] = set()
        self.polls = [202, 200]
        self.app = web.Application()
        self.app.router.add_post("/api/v2/statements", self._submit)
        self.app.router.add_get("/api/v2/statements/s-1", self._get)

    def _authorized(self, request: web.Request) -> None:
        if request.headers.get("X-Snowflake-Authorization-Token-Type") != "KEYPAIR_JWT":
            raise web.HTTPUnauthorized
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.issuers.add(jwt.decode(token, KEY.public_key(), ["RS256"])["iss"])

    async def _submit(self, request: web.Request) -> web.Response:
        self._authorized(request)
        assert request.query["async"] == "true"
        assert (await request.json()) == {"statement": "SELECT 1", "database": "SHOP"}
        return web.json_response({"code": "333334", "statementHandle": "s-1"}, status=202)

    async def _get(self, request: web.Request) -> web.Response:
        self._authorized(request)
        if self.polls:
            return web.json_response({"message": "see status"}, status=self.polls.pop(0))
        page = int(request.query.get("partition", "0"))
        links = [
            '</api/v2/statements/s-1?partition=0>; rel="first"',
            '</api/v2/statements/s-1?partition=2>; rel="last"',
        ]
        if page < 2:
            links.append(f'</api/v2/statements/s-1?partition={page + 1}>; rel="next"')
        return web.json_response({"data": [[str(page), "x"]]}, headers={"Link": ", ".join(links)})


@pytest.mark.slow
async def test_snowflake_sql(tmp_path: Path) -> None:
    """All partitions in one file; the token names the key by its fingerprint."""
    api = _Statements()
    async with listening(api.app) as server:
        settings = {"server": server, "identifier": "ORG-ACC", "user": "EXPORT", "private_key": PEM}
        params = {"statement": "SELECT 1", "database": "SHOP"}
        landed = await run(tmp_path, "snowflake-sql", settings, "statement", params)
    assert landed.job.state is State.SUCCEEDED
    (body,) = landed.files.values()
    assert json.loads(body) == [["0", "x"], ["1", "x"], ["2", "x"]]
    (issuer,) = api.issuers
    assert issuer.startswith("ORG-ACC.EXPORT.SHA256:")


@pytest.mark.slow
async def test_snowflake_with_a_token(tmp_path: Path) -> None:
    """The other kind of credential is said in the header, too."""
    seen: list[tuple[str | None, str | None]] = []

    async def refuse(request: web.Request) -> web.Response:
        names = ("Authorization", "X-Snowflake-Authorization-Token-Type")
        seen.append((request.headers.get(names[0]), request.headers.get(names[1])))
        return web.json_response({"code": "002140", "message": "SQL compilation error"}, status=422)

    app = web.Application()
    app.router.add_post("/api/v2/statements", refuse)
    async with listening(app) as server:
        settings = {"server": server, "auth": "token", "token": "canary-pat"}
        landed = await run(tmp_path, "snowflake-sql", settings, "statement", {"statement": "SELEC"})
    assert landed.job.state is State.FAILED
    assert seen == [("Bearer canary-pat", "PROGRAMMATIC_ACCESS_TOKEN")]
