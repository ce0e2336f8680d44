"""The S3-like host: signatures, foreign credentials, ranges, and its own faults."""

import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from tests.emulators.manual_clock import ManualClock
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.emulated_replies import GeneratedBody
from tidewaiter.emulators.file_host import FileHost

_KEY = "result/5004/3232465_result.json"
_CONTENT = b'[{"id": 1}, {"id": 2}]'


@pytest.fixture
async def host(clock: ManualClock) -> AsyncIterator[FileHost]:
    """A running host with one file, and one secret that must never come in."""
    async with FileHost(clock=clock, secrets=["canary"]) as running:
        running.put(_KEY, _CONTENT)
        yield running


def _get(
    client: aiohttp.ClientSession, url: str, method: str = "GET", **headers: str
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    return client.request(method, URL(url, encoded=True), headers={k.replace("_", "-"): v for k, v in headers.items()})


async def _error(reply: aiohttp.ClientResponse) -> tuple[int, str, str]:
    assert reply.content_type == "application/xml"
    text = await reply.text()
    code, message = (text.partition(f"<{name}>")[2].partition(f"</{name}>")[0] for name in ("Code", "Message"))
    return reply.status, code, message


def _url_with_awkward_signature(host: FileHost) -> str:
    """A signed URL whose signature holds ``+``, ``/`` and ``=`` (as ``%2B``, ``%2F``, ``%3D``)."""
    urls = (host.signed_url(_KEY, ttl_s) for ttl_s in range(60, 10_000))
    return next(url for url in urls if "%2B" in url and "%2F" in url and url.endswith("%3D"))


async def test_a_signed_url_opens_the_file(host: FileHost, client: aiohttp.ClientSession) -> None:
    """The file arrives whole, with the headers that a download needs; the URL has the shape that S3 gives it."""
    url = host.signed_url(_KEY, 60)
    parts = urlsplit(url)
    assert (f"{parts.scheme}://{parts.netloc}", parts.path) == (host.origin, f"/{_KEY}")
    assert [pair.partition("=")[0] for pair in parts.query.split("&")] == ["Expires", "AWSAccessKeyId", "Signature"]
    async with _get(client, url) as reply:
        assert (reply.status, await reply.read()) == (200, _CONTENT)
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers["Accept-Ranges"] == "bytes"
        assert reply.headers["Content-Length"] == str(len(_CONTENT))
        assert reply.headers["ETag"] == f'"{hashlib.md5(_CONTENT, usedforsecurity=False).hexdigest()}"'
    assert host.count("file") == 1
    assert host.refusals.total() == 0


async def test_any_byte_of_the_query_counts(host: FileHost, client: aiohttp.ClientSession) -> None:
    """A query that was decoded, encoded another way, put in another order, or changed, is refused."""
    url = _url_with_awkward_signature(host)
    base, _, query = url.partition("?")
    expires, key_id, signature = query.split("&")
    longer = f"Expires={int(expires.partition('=')[2]) + 60}"
    for changed in (
        url.replace("%3D", "="),
        url.replace("%2B", "+"),
        url.replace("%2F", "/"),
        url.replace("%2F", "%2f"),
        f"{base}?{key_id}&{expires}&{signature}",
        f"{base}?{longer}&{key_id}&{signature}",
        f"{url}&x=1",
        url.replace("5004", "5005"),
    ):
        async with _get(client, changed) as reply:
            assert (await _error(reply))[:2] == (403, "SignatureDoesNotMatch"), changed
    async with _get(client, url) as reply:
        assert reply.status == 200
    assert host.refusals == {"SignatureDoesNotMatch": 8}


async def test_a_url_without_a_signature(host: FileHost, client: aiohttp.ClientSession) -> None:
    """Nothing is public, and an Expires that is no number is no signature."""
    for url in (f"{host.origin}/{_KEY}", host.signed_url(_KEY, 60).replace("Expires=", "Expires=x")):
        async with _get(client, url) as reply:
            assert await _error(reply) == (403, "AccessDenied", "Access Denied")


async def test_a_url_expires_by_the_clock(host: FileHost, client: aiohttp.ClientSession, clock: ManualClock) -> None:
    """It opens the file to the last second and not a second longer."""
    url = host.signed_url(_KEY, 60)
    clock.at += 60
    async with _get(client, url) as reply:
        assert reply.status == 200
    clock.at += 1
    async with _get(client, url) as reply:
        assert await _error(reply) == (403, "AccessDenied", "Request has expired")
        assert "<Expires>2014-06-19T14:11:00Z</Expires>" in await reply.text()


async def test_a_url_can_be_born_expired(host: FileHost, client: aiohttp.ClientSession) -> None:
    """A time to live below zero gives a URL that is out of date, with a good signature."""
    async with _get(client, host.signed_url(_KEY, -1)) as reply:
        assert (await _error(reply))[2] == "Request has expired"


async def test_the_method_is_signed(host: FileHost, client: aiohttp.ClientSession) -> None:
    """HEAD tells what GET would send, but like at S3 it needs a URL that was signed for HEAD."""
    async with _get(client, host.signed_url(_KEY, 60), "HEAD") as reply:
        assert reply.status == 403
    async with _get(client, host.signed_url(_KEY, 60, method="HEAD"), "HEAD") as reply:
        assert (reply.status, reply.headers["Content-Length"]) == (200, str(len(_CONTENT)))
        assert await reply.read() == b""


async def test_a_missing_key(host: FileHost, client: aiohttp.ClientSession) -> None:
    """A good signature for a file that is not there."""
    async with _get(client, host.signed_url("no such file", 60)) as reply:
        assert (await _error(reply))[:2] == (404, "NoSuchKey")


@pytest.mark.parametrize(
    "name", ["Authorization", "Cookie", "Proxy-Authorization", "X-Carma-Authentication-Token", "x-api-key"]
)
async def test_a_credential_in_a_header_is_refused(host: FileHost, client: aiohttp.ClientSession, name: str) -> None:
    """S3 takes one way of authentication; the leak is noted with its carrier and never with its value."""
    async with _get(client, host.signed_url(_KEY, 60), **{name: "a=b"}) as reply:
        assert await _error(reply) == (400, "InvalidArgument", "Only one auth mechanism allowed")
    assert [(leak.path, leak.carrier.lower()) for leak in host.violations] == [(f"/{_KEY}", f"header {name.lower()}")]


async def test_a_credential_in_the_query_is_refused(host: FileHost, client: aiohttp.ClientSession) -> None:
    """An API's key or token in the query is a leak, not merely a bad signature."""
    for key in ("access_token", "key", "apiKey"):
        async with _get(client, f"{host.signed_url(_KEY, 60)}&{key}=1") as reply:
            assert (await _error(reply))[1] == "InvalidArgument"
    assert [leak.carrier for leak in host.violations] == ["query access_token", "query key", "query apiKey"]


async def test_a_known_secret_is_found_wherever_it_stands(host: FileHost, client: aiohttp.ClientSession) -> None:
    """A secret under a name that no list knows, or inside a longer value, is a leak all the same."""
    for url, headers in (
        (host.signed_url(_KEY, 60), {"X_Other": "Bearer canary"}),
        (f"{host.signed_url(_KEY, 60)}&x=can%61ry", {}),
    ):
        async with _get(client, url, **headers) as reply:
            assert reply.status == 400
    assert [leak.carrier for leak in host.violations] == ["header X-Other", "url"]


async def test_a_leak_is_noted_though_a_fault_shows(host: FileHost, client: aiohttp.ClientSession) -> None:
    """What came in came in, whatever the answer was."""
    host.faults.add("file", InjectedFault(FaultKind.UNAVAILABLE))
    async with _get(client, host.signed_url(_KEY, 60), Authorization="Basic eA==") as reply:
        assert reply.status == 503
    assert len(host.violations) == 1


@pytest.mark.parametrize(
    ("asked", "content_range", "part"),
    [
        ("bytes=0-4", "bytes 0-4/22", _CONTENT[:5]),
        ("bytes=5-", "bytes 5-21/22", _CONTENT[5:]),
        ("bytes=20-99", "bytes 20-21/22", _CONTENT[20:]),
        ("bytes=-3", "bytes 19-21/22", _CONTENT[-3:]),
        ("bytes=-99", "bytes 0-21/22", _CONTENT),
    ],
)
async def test_a_range(
    host: FileHost, client: aiohttp.ClientSession, asked: str, content_range: str, part: bytes
) -> None:
    """One range is served as 206 with the bytes asked for and the total."""
    async with _get(client, host.signed_url(_KEY, 60), Range=asked) as reply:
        assert (reply.status, reply.headers["Content-Range"], await reply.read()) == (206, content_range, part)


@pytest.mark.parametrize("asked", ["bytes=22-", "bytes=99-100", "bytes=-0"])
async def test_a_range_outside_the_file(host: FileHost, client: aiohttp.ClientSession, asked: str) -> None:
    """416 with the real size, so that the asker can compare totals."""
    async with _get(client, host.signed_url(_KEY, 60), Range=asked) as reply:
        assert (await _error(reply))[:2] == (416, "InvalidRange")
        assert reply.headers["Content-Range"] == "bytes */22"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=5-2", "lines=1-2", "bytes=x-"])
async def test_a_range_that_is_not_understood(host: FileHost, client: aiohttp.ClientSession, asked: str) -> None:
    """Several ranges, or none that makes sense, get the whole file."""
    async with _get(client, host.signed_url(_KEY, 60), Range=asked) as reply:
        assert (reply.status, await reply.read()) == (200, _CONTENT)


async def test_if_range(host: FileHost, client: aiohttp.ClientSession) -> None:
    """The part comes only while the file is the one that was begun; else the whole new file."""
    url = host.signed_url(_KEY, 60)
    etag = host.files[_KEY].etag
    async with _get(client, url, Range="bytes=5-", If_Range=etag) as reply:
        assert (reply.status, await reply.read()) == (206, _CONTENT[5:])
    host.put(_KEY, b"another")
    async with _get(client, url, Range="bytes=5-", If_Range=etag) as reply:
        assert (reply.status, await reply.read()) == (200, b"another")
        assert reply.headers["ETag"] != etag


async def test_a_file_put_twice_with_the_same_content_keeps_its_etag(host: FileHost) -> None:
    """The ETag is strong: it follows from the content."""
    etags = {host.put("a", source).etag for source in (b"x", b"x", GeneratedBody(9, 1), GeneratedBody(9, 1))}
    assert len(etags) == 2


async def test_a_big_file_is_streamed(host: FileHost, client: aiohttp.ClientSession) -> None:
    """A generated body arrives with the checksum that it tells beforehand."""
    body = GeneratedBody(20_000_000, 5)
    host.put("big", body, "application/octet-stream")
    digest = hashlib.sha256()
    async with _get(client, host.signed_url("big", 60)) as reply:
        assert reply.headers["Content-Length"] == "20000000"
        async for chunk in reply.content.iter_any():
            digest.update(chunk)
    assert digest.hexdigest() == body.sha256()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (InjectedFault(FaultKind.UNAVAILABLE), (503, "SlowDown")),
        (InjectedFault(FaultKind.UNAVAILABLE, status=500), (500, "InternalError")),
        (InjectedFault(FaultKind.THROTTLE), (429, "SlowDown")),
        (InjectedFault(FaultKind.FORBIDDEN), (403, "AccessDenied")),
        (InjectedFault(FaultKind.MISSING), (404, "NoSuchKey")),
        (InjectedFault(FaultKind.GONE), (404, "NoSuchKey")),
        (InjectedFault(FaultKind.LINK_EXPIRED), (403, "AccessDenied")),
    ],
)
async def test_refusals_are_xml(
    host: FileHost, client: aiohttp.ClientSession, fault: InjectedFault, error: tuple[int, str]
) -> None:
    """What the host is told to refuse, it refuses in S3's words, and counts."""
    host.faults.add("file", fault)
    async with _get(client, host.signed_url(_KEY, 60)) as reply:
        assert (await _error(reply))[:2] == error
    assert host.refusals == {error[1]: 1}


async def test_a_file_that_is_gone_stays_gone(host: FileHost, client: aiohttp.ClientSession) -> None:
    """The fault takes the file away; a good link does not bring it back."""
    host.faults.add("file", InjectedFault(FaultKind.GONE))
    for _ in range(2):
        async with _get(client, host.signed_url(_KEY, 60)) as reply:
            assert reply.status == 404


@pytest.mark.parametrize("source", [_CONTENT, GeneratedBody(22, 1)])
async def test_changed(host: FileHost, client: aiohttp.ClientSession, source: bytes | GeneratedBody) -> None:
    """Between two parts the file becomes another one: its ETag tells, even where its size does not."""
    host.put(_KEY, source)
    url = host.signed_url(_KEY, 60)
    host.faults.add("file", InjectedFault(FaultKind.NONE))
    host.faults.add("file", InjectedFault(FaultKind.CHANGED))
    async with _get(client, url, Range="bytes=0-9") as first, _get(client, url, Range="bytes=10-") as second:
        assert (first.status, second.status) == (206, 206)
        assert first.headers["ETag"] != second.headers["ETag"]
    async with _get(client, url, Range="bytes=10-", If_Range=first.headers["ETag"]) as third:
        assert third.status == 200


async def test_ignore_range(host: FileHost, client: aiohttp.ClientSession) -> None:
    """A host that does not know ranges sends the whole file with 200."""
    host.faults.add("file", InjectedFault(FaultKind.IGNORE_RANGE))
    async with _get(client, host.signed_url(_KEY, 60), Range="bytes=5-") as reply:
        assert (reply.status, await reply.read()) == (200, _CONTENT)
        assert "Content-Range" not in reply.headers


async def test_a_truncated_part(host: FileHost, client: aiohttp.ClientSession) -> None:
    """The faults of the wire show on a part as on a whole file."""
    host.put("big", GeneratedBody(1_000_000, 5))
    host.faults.add("file", InjectedFault(FaultKind.TRUNCATE, size=1000))
    async with _get(client, host.signed_url("big", 60), Range="bytes=500000-") as reply:
        assert (reply.status, reply.headers["Content-Length"]) == (206, "500000")
        assert await reply.content.readexactly(1000) == next(GeneratedBody(1_000_000, 5).chunks(500_000, 501_000))
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.content.readany()


async def test_a_file_that_is_a_gzip_bomb(host: FileHost, client: aiohttp.ClientSession) -> None:
    """The file is replaced by a small body that unpacks to a big one."""
    host.faults.add("file", InjectedFault(FaultKind.GZIP_BOMB))
    async with _get(client, host.signed_url(_KEY, 60)) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        assert len(gzip.decompress(await reply.read())) == 16 * 1_048_576
