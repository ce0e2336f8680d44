"""The client against the real listener: submit, wait, lists and decisions."""

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.client.broken_relay import QuickClock, relaying
from tests.support.api_server import READ, ApiServer, serving
from tests.support.byte_servers import answering, reply
from tests.support.byte_servers import serving as byte_server
from tests.support.ports import free_port
from tidewaiter.client import (
    AccessError,
    ApiError,
    AsyncClient,
    ConflictError,
    InvalidRequestError,
    JobNotSucceededError,
    NotFoundError,
    State,
    UnavailableError,
    UnexpectedReplyError,
    require_success,
)
from tidewaiter.domain import outcome as o

PARAMS = {"period": "LAST_DAY"}


async def _made(client: AsyncClient, count: int) -> list[int]:
    return [(await client.submit("quay", "report", PARAMS)).id for _ in range(count)]


async def test_a_key_makes_one_job(client: AsyncClient) -> None:
    """The same request with its key is the same job; another request with the key is refused, field by field."""
    first = await client.submit("quay", "report", PARAMS, unique_key="dag/run+1/task/0")
    assert (first.state, first.unique_key, first.params) == (State.QUEUED, "dag/run+1/task/0", PARAMS)
    assert await client.submit("quay", "report", PARAMS, unique_key="dag/run+1/task/0") == first
    with pytest.raises(InvalidRequestError) as caught:
        await client.submit("quay", "report", {"period": "LAST_WEEK"}, unique_key="dag/run+1/task/0")
    error = caught.value
    assert (error.type, error.status, error.title) == ("about:blank", 422, "Unprocessable Entity")
    assert error.errors[0]["parameter"] == "Idempotency-Key"
    with pytest.raises(InvalidRequestError, match=r"/params/period: .*LAST_DAY"):
        await client.submit("quay", "report", {"period": "NOW"})
    assert [job.id async for job in client.jobs()] == [first.id]


async def test_a_trace_is_sent_along(site: ApiServer) -> None:
    """The header of a submit has the trace of the program."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with relaying(site.base) as relay, AsyncClient(relay.origin) as client:
        await client.submit("quay", "report", PARAMS, traceparent=trace)
    assert f"\r\ntraceparent: {trace}\r\n" in relay.requests[0]


@pytest.mark.slow
async def test_a_lost_reply(site: ApiServer) -> None:
    """A request with a key is sent again and makes one job; one without a key is not."""
    async with relaying(site.base) as relay, AsyncClient(relay.origin, clock=QuickClock()) as client:
        relay.breaks_after = [0, 10]
        job = await client.submit("quay", "report", PARAMS, unique_key="k")
        assert [one[:13] for one in relay.requests] == ["POST /v1/jobs"] * 3
    async with relaying(site.base) as relay, AsyncClient(relay.origin, clock=QuickClock()) as client:
        relay.breaks_after = [0]
        with pytest.raises(ConnectionError, match="cannot be reached"):
            await client.submit("quay", "report", PARAMS)
        assert len(relay.requests) == 1
        assert len([one async for one in client.jobs(unique_key="k")]) == 1
        assert (await client.job(job.id)).unique_key == "k"


async def test_waiting(client: AsyncClient, site: ApiServer) -> None:
    """One job, all of several in their order, and each as it ends; a parked job has ended, too."""
    one, two, three = await _made(client, 3)
    waiting = asyncio.ensure_future(client.wait_all([three, one, two, one]))
    ends = client.as_ended([one, two, three])
    first = asyncio.ensure_future(anext(ends))
    await site.step(two, o.Refused("no such report"))
    assert (await asyncio.wait_for(first, 20)).id == two
    failed = await client.wait(two)
    with pytest.raises(JobNotSucceededError, match="no such report") as caught:
        require_success(failed)
    assert caught.value.job == failed
    await site.step(one, o.Intended("i"), o.Unknown("broken"), o.Undecidable("no list"))
    await site.step(three, o.Refused("no"))
    jobs = await asyncio.wait_for(waiting, 20)
    assert [(job.id, job.state.value) for job in jobs] == [
        (three, "failed"), (one, "parked"), (two, "failed"), (one, "parked"),
    ]  # fmt: skip
    assert {job.id async for job in ends} == {one, three}


async def test_waiting_in_vain(client: AsyncClient) -> None:
    """The time may be over, and a job that does not exist is not waited for."""
    (number,) = await _made(client, 1)
    with pytest.raises(TimeoutError, match=f"0 seconds: {number}"):
        await client.wait(number, timeout_s=0)
    with pytest.raises(NotFoundError, match="there is no job 999"):
        await asyncio.wait_for(client.wait_all([number, 999]), 20)
    assert await client.wait_all([]) == []


@pytest.mark.slow
async def test_waiting_for_more_than_one_request_may_name(client: AsyncClient, site: ApiServer) -> None:
    """Jobs beyond a hundred are asked for in turn, so that those which end first are told first."""
    body = {"account": "quay", "operation": "report", "params": PARAMS}
    receipts = (await site.post("/v1/jobs/batch", {"jobs": [body] * 130})).json["jobs"]
    numbers = [one["id"] for one in receipts]
    for number in numbers[128:]:
        await site.step(number, o.Refused("no"))
    first = await asyncio.wait_for(anext(client.as_ended(numbers)), 30)
    assert first.id in numbers[128:]


async def test_lists(client: AsyncClient, site: ApiServer) -> None:
    """A list goes through its pages; filters are those of the API, and one that is unknown there is refused."""
    began_at = datetime.now(UTC)
    numbers = await _made(client, 5)
    await site.step(numbers[1], o.Refused("no"))
    assert [job.id async for job in client.jobs(limit=2)] == numbers[::-1]
    assert [job.id async for job in client.jobs(state=[State.FAILED, State.EXPIRED], account="quay")] == [numbers[1]]
    assert [job.id async for job in client.jobs(unhandled=True)] == [numbers[1]]
    assert len([job.id async for job in client.jobs(created_before=began_at, unhandled=False)]) == 0
    assert [job.id async for job in client.jobs(id=numbers[:2])] == [numbers[1], numbers[0]]
    with pytest.raises(InvalidRequestError, match="colour: unknown parameter"):
        await anext(client.jobs(colour="red"))


async def test_decisions(client: AsyncClient, site: ApiServer) -> None:
    """What a person decides a program can decide; what does not fit the state is a conflict."""
    one, two = await _made(client, 2)
    assert (await client.cancel(one)).cancel_requested
    await site.step(one, o.Refused("no"))
    with pytest.raises(ConflictError):
        await client.cancel(one)
    with pytest.raises(ConflictError):
        await client.acknowledge(two)
    await site.step(two, o.Refused("no"))
    assert (await client.acknowledge(two)).handled_at is not None
    again = await client.retry(two)
    assert (again.retry_of, again.state) == (two, State.QUEUED)
    assert await client.retry(two) == again
    with pytest.raises(NotFoundError):
        await client.job(999)


async def test_tokens(tmp_path: Path, sqlite_url: str) -> None:
    """Without a token, and with one that may only read."""
    async with serving(tmp_path, sqlite_url, tokens=True) as site:
        async with AsyncClient(site.base) as client:
            with pytest.raises(AccessError):
                await anext(client.jobs())
        async with AsyncClient(f"{site.base}/", READ) as client:
            assert [job async for job in client.jobs()] == []
            with pytest.raises(AccessError) as caught:
                await client.submit("quay", "report", PARAMS)
            assert caught.value.status == 403


async def test_who_is_not_there() -> None:
    """Nobody listens: the patience ends with an error that every program knows."""
    async with AsyncClient(f"http://127.0.0.1:{free_port()}", patience_s=2, clock=QuickClock()) as client:
        with pytest.raises(ConnectionError, match="Tidewaiter cannot be reached"):
            await client.job(1)


@pytest.mark.parametrize(
    ("replies", "kind", "words", "times"),
    [
        ([reply(200, b"<html>")], UnexpectedReplyError, "200 OK: the reply is no JSON", 1),
        ([reply(200, b"[]")], UnexpectedReplyError, "the reply is no JobShape: the whole: ", 1),
        ([reply(200, b'{"id": "secret-canary"}')], UnexpectedReplyError, "no JobShape: id: [^c]*$", 1),
        ([reply(302, b"", "Location: /login")], ApiError, "302 Found", 1),
        ([reply(599, b"[]")], ApiError, "599 Error", 1),
        ([reply(404, b"gone")], NotFoundError, "404 Not Found", 1),
        ([reply(503, b'{"detail": "no database"}', "Retry-After: 2")], UnavailableError, "no database", 3),
        ([reply(502, b""), reply(404, b"{}")], NotFoundError, "404 Not Found", 2),
    ],
)
async def test_other_replies(replies: list[bytes], kind: type[ApiError], words: str, times: int) -> None:
    """What stands before the API, or in its place, answers in its own way; what passes is asked again."""
    async with byte_server(answering(*replies)) as server:
        async with AsyncClient(server.origin, patience_s=4.5, clock=_Counting()) as client:
            with pytest.raises(ApiError, match=words) as caught:
                await client.job(1)
        assert type(caught.value) is kind
        assert len(server.asked) == times


async def test_pages_that_never_end() -> None:
    """A page that names itself, or one before it, as the next ends the list with an error."""
    pages = [reply(200, b'{"jobs": [], "next": "/v1/jobs?before=%d"}' % number) for number in (1, 2, 1)]
    async with byte_server(answering(*pages)) as server, AsyncClient(server.origin) as client:
        with pytest.raises(UnexpectedReplyError, match=r"read before: '/v1/jobs\?before=1'"):
            assert [job async for job in client.jobs()] == []
        assert len(server.asked) == 3


@pytest.mark.slow
async def test_a_lost_reply_to_a_retry(site: ApiServer) -> None:
    """A parked job that is under way again by the lost request is no conflict; one that was under way before is."""
    async with relaying(site.base) as relay, AsyncClient(relay.origin, clock=QuickClock()) as client:
        (number,) = await _made(client, 1)
        with pytest.raises(ConflictError):
            await client.retry(number)
        await site.step(number, o.Intended("intent"), o.Unknown("broke"), o.Undecidable("no list"))
        assert (await client.job(number)).state is State.PARKED
        relay.breaks_after = [0]
        assert (await client.retry(number)).state is State.QUEUED


class _Counting(QuickClock):
    """A clock that stands while nobody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self._slept = 0.0

    def monotonic(self) -> float:
        return 1.0 + self._slept

    async def sleep(self, seconds: float) -> None:
        self._slept += seconds


@pytest.mark.slow
async def test_a_batch_is_waited_for(client: AsyncClient, site: ApiServer) -> None:
    """It has ended with its last job, and also when the rest waits for a person; a time limit ends the wait."""
    one, two = [await client.submit("quay", "report", PARAMS, batch="march", labels={"dag": "x"}) for _ in range(2)]
    assert (await client.batch("march")).open == 2
    assert [job.id async for job in client.jobs(label="dag=x")] == [two.id, one.id]
    with pytest.raises(TimeoutError, match="batch march has not ended after 1 seconds: 2 jobs are open"):
        await client.wait_batch("march", 1)
    waiting = asyncio.ensure_future(client.wait_batch("march"))
    await site.step(one.id, o.Intended("i-1"), o.Refused("no such report"))
    await site.step(two.id, o.Intended("i-2"), o.Unknown("lost"), o.Undecidable("nobody knows"))
    ended = await waiting
    assert (ended.ended_at, ended.states) == (None, {"failed": 1, "parked": 1})
    adopted = await client.adopt(two.id, "remote-7")
    assert (adopted.state, adopted.handle) == (State.POLLING, "remote-7")
    with pytest.raises(NotFoundError):
        await client.wait_batch("april")
    with pytest.raises(ConflictError):
        await client.adopt(one.id, "remote-8")


async def test_a_backfill(client: AsyncClient) -> None:
    """The same request with its name is the same backfill; a day may be a date; it can be waited for."""
    span: dict[str, Any] = {"first": date(2026, 1, 1), "to": "2026-01-03", "window": "1d"}
    made = await client.create_backfill(
        "quay", "report", {**PARAMS, "note": "${window.from}"}, **span, name="january", at_once=2
    )
    assert (made.name, made.windows, made.at_once, made.state) == ("january", 3, 2, "running")
    assert (
        await client.create_backfill(
            "quay", "report", {**PARAMS, "note": "${window.from}"}, **span, name="january", at_once=2
        )
        == made
    )
    assert await client.backfill("january") == made
    with pytest.raises(TimeoutError):
        await client.wait_backfill("january", 0)
    with pytest.raises(NotFoundError):
        await client.backfill("february")


async def test_a_schedule_is_run(client: AsyncClient) -> None:
    """Its job is made now, with other parameters and the dates of another day; one that is not there is not found."""
    job = await client.run_schedule("nightly", params={"period": "LAST_DAY"}, as_of=date(2026, 1, 1))
    assert (job.account, job.schedule, job.params["period"]) == ("quay", "nightly", "LAST_DAY")
    with pytest.raises(NotFoundError):
        await client.run_schedule("yearly")
