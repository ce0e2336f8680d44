"""Malformed HTTP at the listener: a bare 400 that says nothing of the program and repeats nothing of the request."""

import asyncio

import pytest

from tests.support.api_server import ApiServer

HEAD = b"GET /healthz HTTP/1.1\r\nHost: canary\r\n"
POST = b"POST /v1/jobs HTTP/1.1\r\nHost: canary\r\n"
MALFORMED = {
    "no HTTP at all": b"canary\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03canary",
    "a bad method": b"G\x00T /canary HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method with a bracket": b"G{T /canary HTTP/1.1\r\nHost: a\r\n\r\n",
    "a bad version": b"GET /canary HTTP/9.9\r\nHost: a\r\n\r\n",
    "no version": b"GET /canary\r\nHost: a\r\n\r\n",
    "a bad header": HEAD + b"can ary: x\r\n\r\n",
    "a header without a name": HEAD + b": canary\r\n\r\n",
    "a folded header": HEAD + b"A: b\r\n canary\r\n\r\n",
    "a NUL in a header": HEAD + b"A: can\x00ary\r\n\r\n",
    "a bare CR in a header": HEAD + b"A: can\rary\r\n\r\n",
    "a line that is too long": b"GET /" + b"canary" * 4000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header that is too long": HEAD + b"A: " + b"canary" * 4000 + b"\r\n\r\n",
    "too many headers": HEAD + b"A: canary\r\n" * 300 + b"\r\n",
    "a length that is no number": POST + b"Content-Length: canary\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +6\r\n\r\ncanary",
    "a length with a grouping sign": POST + b"Content-Length: 1_0\r\n\r\ncanarycana",
    "two lengths": POST + b"Content-Length: 6\r\nContent-Length: 7\r\n\r\ncanary",
    "two lengths in one": POST + b"Content-Length: 6, 7\r\n\r\ncanary",
    "a length and chunks": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: canary\r\n\r\n0\r\n\r\n",
    "chunks that are not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks by a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /v1/jobs HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: canary\r\n\r\n0\r\n\r\n",
}


async def _answer(site: ApiServer, raw: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.base.rpartition(":")[2]))
    writer.write(raw)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=list(MALFORMED))
async def test_a_bare_400(site: ApiServer, raw: bytes) -> None:
    """The status and the length of nothing; the connection ends, and no second request comes out of the first."""
    answer = await _answer(site, raw + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 400 Bad Request" or lines[0] == b"HTTP/1.0 400 Bad Request"
    names = {line.partition(b":")[0].lower() for line in lines[1:]}
    assert names <= {b"content-length", b"connection", b"date"}
    assert body == b""
    assert b"canary" not in answer


async def test_an_unknown_expectation_is_a_bare_417(site: ApiServer) -> None:
    """What is expected is not repeated."""
    answer = await _answer(site, POST + b"Expect: canary\r\nContent-Length: 6\r\n\r\ncanary")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 417 ")
    assert body == b""
    assert b"canary" not in answer
    assert b"server" not in head.lower()


async def test_requests_in_chunks_are_read(site: ApiServer) -> None:
    """What is well-formed gets its own answer, one for each request."""
    chunked = b"2\r\n{}\r\n0\r\n\r\n"
    one = (
        POST.replace(b"canary", b"127.0.0.1") + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    last = one.replace(b"Content-Type", b"Connection: close\r\nContent-Type")
    answer = await _answer(site, one + chunked + last + chunked)
    assert answer.count(b"HTTP/1.1 422") == 2
