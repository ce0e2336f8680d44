"""Whatever bytes come in: a problem document that names what is wrong, never a 500, never a traceback."""

import asyncio
import io
import json
import socket
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.api_server import ApiServer, new_job
from tests.support.effort import examples
from tidewaiter.web.api.request_input import parse_json
from tidewaiter.web.problems import ProblemError

GOOD = json.dumps(new_job()).encode()
JSON = {"Content-Type": "application/json"}


def _with_params(value: bytes) -> bytes:
    return b'{"account":"quay","operation":"report","params":{"period":"LAST_DAY","note":' + value + b"}}"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "line 1, column 2"),
        (b"\xff\xfe", 400, "UTF-8"),
        (b'{"account":"quay","account":"pier","operation":"report"}', 400, "twice"),
        (_with_params(b"NaN"), 400, "NaN"),
        (_with_params(b"-Infinity"), 400, "Infinity"),
        (_with_params(b"1e999"), 400, "too large"),
        (_with_params(b"9" * 5000), 400, "digits"),
        (_with_params(b'"\\u0000"'), 400, "NUL"),
        (_with_params(b'"\\ud800"'), 400, "surrogate"),
        (_with_params(b"[" * 100_000 + b"]" * 100_000), 400, "levels deep"),
        (_with_params(b"[" * 300 + b"]" * 300), 400, "levels deep"),
        (_with_params(b'{"a":' * 70 + b"1" + b"}" * 70), 400, "levels deep"),
        (_with_params(b"9" * 50), 422, ""),
        (_with_params(b'"' + b"x" * 100_000 + b'"'), 422, ""),
        (b'{"account":"' + b"x" * 70_000 + b'","operation":"report"}', 422, ""),
        (b"null", 422, ""),
        (b'"text"', 422, ""),
        (b"[1,2]", 422, ""),
    ],
)
async def test_bodies(site: ApiServer, body: bytes, status: int, says: str) -> None:
    """Each kind of bad body has its sentence."""
    problem = (await site.call("POST", "/v1/jobs", data=body, headers=JSON)).problem(status)
    assert says in problem["detail"]
    assert sum((await site.jobs.counts()).values()) == 0


async def test_what_is_no_json(site: ApiServer) -> None:
    """A body of another type, or a compressed one, is 415 and says what is taken."""
    for headers in (
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "nonsense"},
    ):
        reply = await site.call("POST", "/v1/jobs", data=GOOD, headers=headers)
        reply.problem(415)
        assert reply.headers["Accept"] == "application/json"
    vendor = {"Content-Type": "application/vnd.tide+json; charset=utf-8"}
    assert (await site.call("POST", "/v1/jobs", data=GOOD, headers=vendor)).status == 202


async def test_paths_and_methods(site: ApiServer) -> None:
    """Nothing at a path is 404, another method 405 with those that there are; both are problem documents."""
    for path in ("/v1", "/v1/", "/v1/nothing", "/v2/jobs", "/v1/jobs/1/artifacts/0/x", "/%2e%2e/etc/passwd"):
        (await site.get(path)).problem(404)
    reply = await site.call("DELETE", "/v1/jobs")
    reply.problem(405)
    assert set(reply.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
    (await site.call("PUT", "/v1/jobs/1")).problem(405)
    (await site.call("GET", "/v1/jobs/1/cancel")).problem(405)


async def test_a_body_without_end_is_cut_off(site: ApiServer) -> None:
    """A body whose size nobody tells is read no further than permitted."""
    body = io.BytesIO(b" " * 2_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        while piece := body.read(65_536):
            yield piece

    (await site.call("POST", "/v1/jobs", data=pieces(), headers=JSON)).problem(413)


async def test_what_is_no_http(site: ApiServer) -> None:
    """Bytes that are no request are answered with 400 or hung up on, and the listener goes on."""
    host, port = site.base.removeprefix("http://").split(":")
    for raw in (b"\x00\x01\r\n\r\n", b"GET /v1/jobs HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
        writer.write(raw)
        async with asyncio.timeout(20):
            answer = await reader.read(4096)
        assert answer == b"" or answer.split()[1].startswith(b"4"), answer
        assert b"Traceback" not in answer
        writer.close()
    assert (await site.get("/v1/jobs")).status == 200


_HOSTILE = ["<script>alert(1)</script>", "../../etc/passwd", "%s%n", "\u202e", "'--", "\ud800", "\0"]
_TEXTS = st.text(max_size=40) | st.sampled_from(_HOSTILE)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)
_JOBS = st.fixed_dictionaries(
    {},
    optional={
        "account": st.sampled_from(["quay", "pier"]) | _JSON,
        "operation": st.sampled_from(["report", "listing"]) | _JSON,
        "params": st.dictionaries(st.sampled_from(["period", "rows", "note", "parts"]) | _TEXTS, _JSON) | _JSON,
        "unique_key": _JSON,
        "more": _JSON,
    },
)
_BODIES = st.binary(max_size=200) | (_JOBS | _JSON).map(lambda value: json.dumps(value).encode())


async def _send(site: ApiServer, raw: bytes, batch: bool, key: str | None) -> None:
    headers = JSON if key is None else {**JSON, "Idempotency-Key": key}
    path = "/v1/jobs/batch" if batch else "/v1/jobs"
    body = b'{"jobs":[' + raw + b"]}" if batch else raw
    reply = await site.call("POST", path, data=body, headers=headers)
    assert reply.status in (200, 202, 400, 413, 415, 422), reply.body
    if reply.status >= 400:
        problem = reply.problem(reply.status)
        assert problem["detail"]
        assert "Traceback" not in json.dumps(problem)


async def test_any_bytes(any_site: ApiServer) -> None:
    """Random bytes and random JSON, some of it nearly right: always an answer, on both databases."""
    loop = asyncio.get_running_loop()

    @settings(max_examples=examples(150), deadline=None, derandomize=True, database=None)
    @given(raw=_BODIES, batch=st.booleans(), key=st.none() | st.text("abc-\"' ", max_size=8))
    def send(raw: bytes, batch: bool, key: str | None) -> None:
        asyncio.run_coroutine_threadsafe(_send(any_site, raw, batch, key), loop).result(30)

    await asyncio.to_thread(send)
    assert not any_site.logged("http.failed")


@settings(max_examples=examples(200), deadline=None, derandomize=True, database=None)
@given(raw=_BODIES)
def test_parsing(raw: bytes) -> None:
    """Reading JSON ends in a value that can be written again, or in a problem: in nothing else."""
    try:
        document = parse_json(raw)
    except ProblemError as error:
        document = error.status
    assert document in (400, 413) or json.dumps(document, allow_nan=False).encode()


def test_a_name_twice_among_many() -> None:
    """The one name that comes twice is found in one pass: a hundred thousand others would take minutes in more."""
    names = ",".join(f'"n{number}":0' for number in range(100_000))
    begun_at = time.process_time()
    with pytest.raises(ProblemError, match="'n99999'"):
        parse_json(f'{{{names},"n99999":1}}'.encode())
    assert time.process_time() - begun_at < 5.0
