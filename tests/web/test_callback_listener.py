"""The callback listener over real sockets. Numbers are rows of the catalogue of faults."""

import asyncio
import gzip
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.stored_jobs import NOW
from tests.web.callback_setup import OTHER, TOKEN, CallbackSetup, LoopClock
from tidewaiter.database.engine import Database
from tidewaiter.database.wake_up_store import WakeUpStore
from tidewaiter.domain import outcome as o
from tidewaiter.log import configure
from tidewaiter.web import callback_listener
from tidewaiter.web.callback_listener import CallbackListener
from tidewaiter.web.listener import ListenerDiedError


async def test_a_callback_makes_its_job_due_and_wakes_the_lane(setup: CallbackSetup) -> None:
    """The whole of what a callback does: a hint, a due time, a lane that looks."""
    job = await setup.polling()
    setup.clock.at = NOW + 5.0
    assert await setup.post() == 204
    assert await setup.stores.stored(job) == replace(job, hinted=True, due_at=NOW + 5.0)
    assert [(hint.job, hint.lane) for hint in setup.woken] == [(job.id, job.lane)]
    (line,) = setup.logged("callback.received")
    assert (line["job"], line["state"], line["noted"]) == (job.id, "polling", True)


@pytest.mark.fault(47)
async def test_forged_tokens_are_told_apart_by_nobody(setup: CallbackSetup) -> None:
    """Unknown, malformed, finished, another method, another path: one answer, byte for byte, and no write."""
    job = await setup.polling(OTHER)
    await setup.stores.accepted(job, o.Refused("no"))
    waiting = await setup.polling()
    answers = set()
    for line in (
        f"POST /callbacks/{'x' * 43}",
        f"POST /callbacks/{OTHER}",
        f"POST /callbacks/{TOKEN[:-1]}",
        f"POST /callbacks/{TOKEN}/",
        f"POST /callbacks/{TOKEN[:-3]}%54",
        "POST /callbacks/",
        f"POST /{TOKEN}",
        "POST /callbacks/../../etc/passwd",
        f"GET /callbacks/{TOKEN}",
        f"PUT /callbacks/{TOKEN}",
        "GET /",
    ):
        status, headers, body = await setup.call(f"{line} HTTP/1.1\r\nHost: tide\r\nContent-Length: 0\r\n\r\n".encode())
        headers.pop("Date")
        answers.add((status, tuple(headers.items()), body))
    assert len(answers) == 1
    assert answers.pop()[0] == 404
    assert setup.writes == 0
    assert setup.woken == []
    assert await setup.stores.stored(waiting) == waiting


@pytest.mark.fault(47)
async def test_refusals_are_logged_once(setup: CallbackSetup) -> None:
    """Scanners do not fill the log: the same refusal is folded, and no line shows a token."""
    for _ in range(5):
        assert await setup.post("x" * 43) == 404
    assert len(setup.logged("callback.refused")) == 1
    assert "xxxxxxxx" not in setup.output.getvalue()


@pytest.mark.invariant(9)
@pytest.mark.fault(48)
@pytest.mark.parametrize(
    "body",
    [b"", b'{"status": "failed", "error": "it is all lost"}', b"<html>", b"\x00\xff" * 99, b"state=cancelled"],
)
async def test_a_forged_body_says_nothing(setup: CallbackSetup, body: bytes) -> None:
    """Whatever a call with a true token says, the job is due for a poll, and nothing else of it has changed."""
    job = await setup.polling()
    assert await setup.post(TOKEN, body) == 204
    assert await setup.stores.stored(job) == replace(job, hinted=True, due_at=NOW)
    assert setup.writes == 1


@pytest.mark.fault(49)
async def test_duplicates_are_one_write(setup: CallbackSetup) -> None:
    """Callbacks that come again before the poll are taken kindly and written once."""
    await setup.polling()
    assert [await setup.post() for _ in range(5)] == [204] * 5
    assert await asyncio.gather(*(setup.post() for _ in range(5))) == [204] * 5
    assert setup.writes == 1
    assert len(setup.woken) == 1


@pytest.mark.fault(49)
async def test_a_late_callback_is_unknown(setup: CallbackSetup) -> None:
    """After the job has ended its address is as unknown as any."""
    job = await setup.polling()
    await setup.stores.accepted(job, o.Refused("no"))
    setup.writes = 0
    assert await setup.post() == 404
    assert setup.writes == 0


@pytest.mark.fault(50)
async def test_a_flood_is_told_to_come_later(setup: CallbackSetup) -> None:
    """Beyond the burst everybody gets 429 with a Retry-After and costs no look into the database; then it goes on."""
    await setup.polling()
    assert [await setup.post("x" * 43) for _ in range(20)] == [404] * 20
    status, headers, _ = await setup.call(f"POST /callbacks/{TOKEN} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    assert (status, headers["Retry-After"]) == (429, "1")
    assert setup.writes == 0
    setup.clock.at += 1.0
    assert await setup.post() == 204
    assert await setup.post() == 429


@pytest.mark.fault(50)
async def test_an_oversized_body_is_cut_off(setup: CallbackSetup) -> None:
    """A call that brings a large file counts from its headers on; 16 KiB of the file are read, and no more."""
    job = await setup.polling()
    reader, writer = await asyncio.open_connection(*setup.socket.getsockname())
    writer.write(f"POST /callbacks/{TOKEN} HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n".encode())
    sent = 0
    async with asyncio.timeout(10):
        try:
            while not reader.at_eof() and sent < 2**26:
                writer.write(bytes(65_536))
                sent += 65_536
                await writer.drain()
        except ConnectionError:
            pass  # hung up on, as it should be
    writer.close()
    assert sent < 2**26
    assert (await setup.stores.stored(job)).hinted


@pytest.mark.fault(50)
async def test_a_slow_body_is_not_waited_for(setup: CallbackSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come keeps nobody: the call counts, and the answer follows within the body's time."""
    monkeypatch.setattr(callback_listener, "_BODY_S", 0.05)
    job = await setup.polling()
    slow = f"POST /callbacks/{TOKEN} HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nx".encode()
    assert (await setup.call(slow))[0] == 204
    assert (await setup.stores.stored(job)).hinted


@pytest.mark.fault(50)
async def test_a_caller_who_asks_first_is_answered_first(setup: CallbackSetup) -> None:
    """With Expect: 100-continue the body is never asked for."""
    await setup.polling()
    polite = (
        f"POST /callbacks/{TOKEN} HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert (await setup.call(polite))[0] == 204


@pytest.mark.fault(50)
@pytest.mark.parametrize("sent", [b"", b"POST /callb", b"POST /callbacks/x HTTP/1.1\r\nX-A: "])
async def test_a_slow_head_is_hung_up_on(
    sqlite_url: str, clock: LoopClock, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """A connection that never gets to its headers' end is closed, so that it cannot be kept for ever."""
    monkeypatch.setattr(callback_listener, "_HEAD_S", 0.05)
    database = Database.open(sqlite_url, clock)
    bound = socket.create_server(("127.0.0.1", 0))
    log = configure("json", "error", (), strict=True)
    listener = CallbackListener(bound, WakeUpStore(database), wake=lambda _: None, clock=clock, log=log)
    running = asyncio.ensure_future(listener.run())
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    writer.write(sent)
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    running.cancel()
    await asyncio.wait([running])
    await database.close()
    log.close()


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener that is started next serves two connections at once."""
    monkeypatch.setattr(callback_listener, "_MOST_CONNECTIONS", 2)


@pytest.mark.fault(50)
async def test_too_many_connections_are_closed(room_for_two: None, setup: CallbackSetup) -> None:
    """Connections beyond the limit are closed at once, and there is room again when others have gone."""
    job = await setup.polling()
    held = [await asyncio.open_connection(*setup.socket.getsockname()) for _ in range(2)]
    with pytest.raises((ConnectionError, IndexError)):  # reset, or closed without a word
        await setup.post()
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(10):
        while not (await setup.stores.stored(job)).hinted:
            try:
                await setup.post()
            except (ConnectionError, IndexError):
                await asyncio.sleep(0.01)  # the listener learns of a closed connection on its own time


@pytest.mark.fault(51)
@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"[" * 16_384, "Content-Type: application/json"),
        (b'{"n": ' + b"9" * 16_000 + b"}", "Content-Type: application/json"),
        (b'{"n": NaN, "i": Infinity}', "Content-Type: application/json"),
        (gzip.compress(bytes(10_000_000))[:16_000], "Content-Encoding: gzip"),
        (b"not deflated", "Content-Encoding: deflate"),
    ],
)
async def test_bombs_are_never_looked_into(setup: CallbackSetup, body: bytes, header: str) -> None:
    """Nesting, huge numbers, NaN, compressed bombs: bytes that are dropped, like any others."""
    job = await setup.polling()
    assert await setup.post(TOKEN, body, header) == 204
    assert await setup.stores.stored(job) == replace(job, hinted=True, due_at=NOW)
    assert setup.logged("library.logged") == []


@pytest.mark.fault(51)
@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /callbacks/x HTTP/9.9\r\n\r\n",
        b"POST /callbacks/x HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /callbacks/x HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"POST /" + b"y" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_without_a_word_in_the_log(setup: CallbackSetup, raw: bytes) -> None:
    """TLS on a plain port, nonsense, endless lines: 400, and no line, for anybody can send that all day."""
    try:
        status, _, _ = await setup.call(raw)
    except ConnectionError:
        status = 400  # hung up on while it was still talking
    assert status == 400
    assert setup.output.getvalue() == ""


@pytest.mark.fault(51)
async def test_a_broken_body_does_not_undo_the_call(setup: CallbackSetup) -> None:
    """Chunks that are none: the call has counted, unless they came with its head and the whole is no HTTP."""
    job = await setup.polling()
    raw = f"POST /callbacks/{TOKEN} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n".encode()
    status, _, _ = await setup.call(raw)
    assert status in (204, 400)
    assert (await setup.stores.stored(job)).hinted == (status == 204)
    assert setup.logged("library.logged") == []


async def test_a_database_that_is_away_is_not_the_callers_fault(tmp_path: Path, clock: LoopClock) -> None:
    """503 with a Retry-After, so that a provider that repeats its callbacks does so."""
    (tmp_path / "x.db").write_bytes(b"this is no database" * 100)
    database = Database.open(f"sqlite:///{tmp_path}/x.db", clock)
    bound = socket.create_server(("127.0.0.1", 0))
    log = configure("json", "error", (), strict=True)
    listener = CallbackListener(bound, WakeUpStore(database), wake=lambda _: None, clock=clock, log=log)
    running = asyncio.ensure_future(listener.run())
    reader, writer = await asyncio.open_connection(*bound.getsockname())
    writer.write(f"POST /callbacks/{TOKEN} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    running.cancel()
    await asyncio.wait([running])
    await database.close()
    log.close()
    assert b" 503 " in answer
    assert b"Retry-After: 10" in answer


@pytest.mark.fault(7)
async def test_a_listener_without_its_socket_dies_loudly(setup: CallbackSetup) -> None:
    """A daemon that only seems to listen would be a zombie half."""
    setup.socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ListenerDiedError):
        async with asyncio.timeout(10):
            await setup.running
