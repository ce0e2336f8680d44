"""APIs whose requests are signed, end to end: a server that verifies every request, and the files that land."""

import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from tests.support.aws_verifier import accepts
from tests.support.one_export import listening, run
from tests.support.s3 import S3Server
from tidewaiter.bootstrap.single_run import RunBrokenError
from tidewaiter.domain.job import State

SECRET = "canary-secret"

# --- Athena: https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html --------------------------


def _row(value: str) -> dict[str, Any]:
    return {"Data": [{"VarCharValue": value}]}


class _Athena:
    """Runs one query and gives its rows on three pages; refuses every request whose signature does not match."""

    def __init__(self, faults: int = 0) -> None:
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self._faults = faults
        self._states = ["QUEUED", "RUNNING", "SUCCEEDED"]
        self.app = web.Application()
        self.app.router.add_post("/", self._action)

    async def _action(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not accepts(SECRET, request.method, request.raw_path, request.headers, body):
            return self._says({"__type": "InvalidSignatureException", "message": "It does not match."}, 400)
        assert "/eu-west-1/athena/aws4_request" in request.headers["Authorization"]
        action = request.headers["X-Amz-Target"].removeprefix("AmazonAthena.")
        self.asked.append(action)
        asked = json.loads(body)
        if action == "StartQueryExecution":
            self.tokens.append(asked["ClientRequestToken"])
            if self._faults:
                self._faults -= 1
                return web.Response(status=500)  # the query may have begun
            assert asked["QueryString"] == "SELECT name FROM ships"
            return self._says({"QueryExecutionId": "q-7"})
        assert asked["QueryExecutionId"] == "q-7"
        if action == "GetQueryExecution":
            return self._says({"QueryExecution": {"Status": {"State": self._states.pop(0)}}})
        assert action == "GetQueryResults"
        values, following = {
            None: (["name", "Maria"], "AYz/+="),
            "AYz/+=": (["Anna"], "BYz"),
            "BYz": (["Änne"], None),
        }[asked.get("NextToken")]
        document: dict[str, Any] = {"ResultSet": {"Rows": [_row(value) for value in values]}}
        return self._says(document | ({} if following is None else {"NextToken": following}))

    @staticmethod
    def _says(document: object, status: int = 200) -> web.Response:
        return web.Response(text=json.dumps(document), status=status, content_type="application/x-amz-json-1.1")


def _settings(origin: str, secret: str = SECRET) -> dict[str, str]:
    return {"region": "eu-west-1", "endpoint": origin, "access_key": "AKIDEXAMPLE", "secret_key": secret}


@pytest.mark.slow
async def test_athena(tmp_path: Path) -> None:
    """One JSON array of the rows of all pages. Each of the requests is signed for itself."""
    athena = _Athena()
    async with listening(athena.app) as origin:
        landed = await run(tmp_path, "athena", _settings(origin), "query", {"sql": "SELECT name FROM ships"})
    assert landed.job.state is State.SUCCEEDED
    (content,) = landed.files.values()
    assert json.loads(content) == [_row(name) for name in ("name", "Maria", "Anna", "Änne")]
    assert athena.asked == ["StartQueryExecution", *["GetQueryExecution"] * 3, *["GetQueryResults"] * 3]


@pytest.mark.slow
async def test_athena_starts_one_query(tmp_path: Path) -> None:
    """A start without a clear answer is repeated with the token of the first, which is long enough for Athena."""
    athena = _Athena(faults=1)
    async with listening(athena.app) as origin:
        landed = await run(tmp_path, "athena", _settings(origin), "query", {"sql": "SELECT name FROM ships"})
    assert landed.job.state is State.SUCCEEDED
    assert len(athena.tokens) == 2
    assert len(set(athena.tokens)) == 1
    assert 32 <= len(athena.tokens[0]) <= 128


@pytest.mark.slow
async def test_athena_as_moto_has_it(tmp_path: Path) -> None:
    """Another server of Athena, which somebody else wrote."""
    server = S3Server(tmp_path / "moto.log")
    try:
        rows = {"rows": [{"Data": [{"VarCharValue": "Maria"}]}], "column_info": [{"Name": "name", "Type": "varchar"}]}
        async with aiohttp.ClientSession() as session:
            queue = {"account_id": "123456789012", "region": "eu-west-1", "results": [rows]}
            async with session.post(f"{server.endpoint}/moto-api/static/athena/query-results", json=queue) as reply:
                assert reply.status == 201
        params = {"sql": "SELECT name FROM ships", "output": "s3://harbour/results/"}
        landed = await run(tmp_path / "out", "athena", _settings(server.endpoint), "query", params)
    finally:
        server.kill()
    assert landed.job.state is State.SUCCEEDED
    (content,) = landed.files.values()
    assert json.loads(content) == [_row("Maria")]


# --- Binance: https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info ----------------------


class _Futures:
    """Makes one history; verifies the query as it came, its time within five seconds, and its end."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.files_origin = ""
        self._states = ["processing", "processing", "completed"]
        self.app = web.Application()
        self.app.router.add_get("/fapi/v1/income/asyn", self._start)
        self.app.router.add_get("/fapi/v1/income/asyn/id", self._link)
        self.files = web.Application()
        self.files.router.add_get("/h.csv", self._file)

    def _verify(self, request: web.Request) -> None:
        self.asked.append(request.path)
        query, _, given = request.raw_path.partition("?")[2].rpartition("&signature=")
        if given != hmac.new(SECRET.encode(), query.encode(), "sha256").hexdigest():
            self._refuse(-1022, "Signature for this request is not valid.")
        late_ms = datetime.now(UTC).timestamp() * 1000 - int(request.query["timestamp"])
        if not -1000 <= late_ms <= 5000:
            self._refuse(-1021, "Timestamp for this request is outside of the recvWindow.")
        assert request.headers["X-MBX-APIKEY"] == "key"

    @staticmethod
    def _refuse(code: int, text: str) -> None:
        raise web.HTTPBadRequest(text=json.dumps({"code": code, "msg": text}), content_type="application/json")

    async def _start(self, request: web.Request) -> web.Response:
        self._verify(request)
        assert (request.query["startTime"], request.query["endTime"]) == ("1735689600000", "1738367999999")
        return web.json_response({"avgCostTimestampOfLast30d": 7241837, "downloadId": "546975389218332672"})

    async def _link(self, request: web.Request) -> web.Response:
        self._verify(request)
        assert request.query["downloadId"] == "546975389218332672"
        status = self._states.pop(0)
        link = f"{self.files_origin}/h.csv?X-Amz-Signature={quote('ab/c', safe='')}&timestamp=7"
        return web.json_response({"status": status, "url": link if status == "completed" else "", "isExpired": None})

    async def _file(self, request: web.Request) -> web.Response:
        assert request.raw_path == "/h.csv?X-Amz-Signature=ab%2Fc&timestamp=7"
        assert "X-MBX-APIKEY" not in request.headers
        return web.Response(text="time,asset\n1,USDT\n", content_type="text/csv")


@pytest.mark.slow
async def test_binance_futures(tmp_path: Path) -> None:
    """The queries are signed with the time in them; the link to the file, on another host, is followed as it is."""
    futures = _Futures()
    params = {"start": "1735689600000", "end": "1738367999999"}
    async with listening(futures.app) as origin, listening(futures.files) as files:
        futures.files_origin = files.replace("127.0.0.1", "localhost")
        settings = {"server": origin, "api_key": "key", "secret_key": SECRET}
        landed = await run(tmp_path, "binance-futures", settings, "income", params)
    assert landed.job.state is State.SUCCEEDED
    assert list(landed.files.values()) == [b"time,asset\n1,USDT\n"]
    assert futures.asked == ["/fapi/v1/income/asyn", *["/fapi/v1/income/asyn/id"] * 3]


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["athena", "binance-futures"])
async def test_a_wrong_secret_pauses_the_account(tmp_path: Path, provider: str) -> None:
    """One request is refused, with a status that says little, and none follows."""
    athena, futures = _Athena(), _Futures()
    async with listening(athena.app if provider == "athena" else futures.app) as origin:
        if provider == "athena":
            settings, operation, params = _settings(origin, "another-secret"), "query", {"sql": "SELECT 1"}
        else:
            settings = {"server": origin, "api_key": "key", "secret_key": "another-secret"}
            operation, params = "income", {"start": "1735689600000", "end": "1738367999999"}
        with pytest.raises(RunBrokenError) as caught:
            await run(tmp_path, provider, settings, operation, params)
    said = {"athena": "It does not match.", "binance-futures": "Signature for this request is not valid."}
    assert str(caught.value) == f"the run broke off: HTTP 400: {said[provider]}"
    assert len(futures.asked) == (provider == "binance-futures")
    assert athena.asked == []
