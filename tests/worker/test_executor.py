"""The executor against hostile replies, byte for byte: one outcome for each step, and its effect on the account."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.byte_servers import Answer, ReceivedRequest, Server, answering, reply, reset, serving
from tests.support.spec_samples import job_with
from tests.worker.executor_setup import ExecutorSetup, open_executor, queued
from tests.worker.login_api import spec_with
from tidewaiter.database.account_store import PauseCause
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.transport.wire import AccountClosedError, Timeouts
from tidewaiter.worker.lease import moment
from tidewaiter.worker.step_context import SupersededError

SPEC = spec_with("")
LOST = b""
GARBAGE = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"
SHORT = reply(200, b'{"status": "pen', length=4000)
BUSY = reply(429, b'{"error": "slow down"}', "Retry-After: 7")
DENIED = reply(401, b'{"error": "who are you"}')
DOWN = reply(500, b"<html>an error</html>", "Content-Type: text/html")
CIRCLE = reply(302, b"", "Location: /v1/reports/42")
PAGE = reply(200, b"<html>welcome</html>", "Content-Type: text/html")


def closing(data: bytes) -> Answer:
    """Send these bytes and end the connection."""

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


async def _reset(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def _silent(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)
    writer.close()


def at(state: State) -> Job:
    """A job in a state, with a remote job."""
    return queued() if state is State.QUEUED else replace(job_with("42"), state=state)


@asynccontextmanager
async def facing(
    database: Database, folder: Path, state: State, answer: Answer
) -> AsyncIterator[tuple[ExecutorSetup, Server]]:
    """A step of a job in a state, whose provider answers like this."""
    timeouts = Timeouts(connect_s=2.0, read_s=0.5, overall_s=0.5)
    async with (
        serving(answer) as server,
        open_executor(database, folder, at(state), spec=SPEC, server=server.origin, timeouts=timeouts) as setup,
    ):
        yield setup, server


BROKEN: dict[str, Answer] = {
    "lost": closing(LOST),
    "reset": _reset,
    "silent": _silent,
    "garbage": closing(GARBAGE),
    "short": closing(SHORT),
}


@pytest.mark.fault(20, 21)
@pytest.mark.parametrize("how", sorted(BROKEN))
@pytest.mark.parametrize("state", [State.POLLING, State.CANCELLING])
async def test_a_broken_reply_is_asked_for_again(database: Database, tmp_path: Path, state: State, how: str) -> None:
    """A step that may be repeated is, whatever the reply was broken by; the account stays open."""
    async with facing(database, tmp_path, state, BROKEN[how]) as (setup, _):
        assert isinstance(await setup.take(), o.Retry)
        assert (setup.budget.closed_until, setup.budget.paused) == (0.0, None)


@pytest.mark.fault(1, 20)
@pytest.mark.parametrize("how", sorted(BROKEN))
async def test_a_broken_reply_to_a_submit_leaves_it_unknown(database: Database, tmp_path: Path, how: str) -> None:
    """Nobody knows whether the provider has made a remote job; the intent was durable before the request came."""
    states: list[State] = []

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        states.append((await setup.stored()).state)
        await BROKEN[how](asked, writer)

    async with facing(database, tmp_path, State.QUEUED, answer) as (setup, server):
        assert isinstance(await setup.take(), o.Unknown)
        assert [asked.method for asked in server.asked] == ["POST"]
    assert states == [State.SUBMITTING]


@pytest.mark.fault(19)
async def test_a_submit_that_finds_nobody(database: Database, tmp_path: Path) -> None:
    """It was surely not sent."""
    async with serving(_silent) as gone:
        origin = gone.origin
    async with open_executor(database, tmp_path, queued(), spec=SPEC, server=origin) as setup:
        assert isinstance(await setup.take(), o.Unsent)
        assert not setup.step.session.sent


@pytest.mark.fault(9)
@pytest.mark.parametrize("how", ["lost", "reset", "short"])
async def test_a_broken_file_is_asked_for_again(database: Database, tmp_path: Path, how: str) -> None:
    """The download is counted before it begins, and nothing has landed."""
    async with facing(database, tmp_path, State.FETCHING, BROKEN[how]) as (setup, _):
        assert isinstance(await setup.take(), o.Retry)
        assert ((await setup.stored()).fetches, setup.step.artifacts) == (1, [])
        assert setup.events("file.landed") == []


@pytest.mark.parametrize("state", [State.QUEUED, State.POLLING, State.FETCHING, State.CANCELLING])
async def test_throttling_closes_the_account(database: Database, tmp_path: Path, state: State) -> None:
    """The step waits, the budget is closed for as long as the reply asks, and a line of the log says so."""
    async with facing(database, tmp_path, state, answering(BUSY)) as (setup, _):
        outcome = await setup.take()
        assert isinstance(outcome, o.Throttled)
        assert setup.budget.closed_until == pytest.approx(setup.clock.at + outcome.retry_after_s)  # type: ignore[operator]
        (line,) = setup.events("account.paused")
    assert (line["account"], line["cause"], line["until_s"]) == ("shop", "throttled", outcome.retry_after_s)


@pytest.mark.fault(26)
@pytest.mark.parametrize("state", [State.QUEUED, State.POLLING, State.CANCELLING])
async def test_refused_credentials_pause_the_account(database: Database, tmp_path: Path, state: State) -> None:
    """This lane at once; and the pause is there for the next round to write."""
    async with facing(database, tmp_path, state, answering(DENIED)) as (setup, _):
        assert isinstance(await setup.take(), o.Unauthorized)
        assert setup.budget.paused is not None
        assert setup.pauses.causes == {"shop": PauseCause.CREDENTIALS.value}


@pytest.mark.fault(22)
async def test_no_tls_where_it_should_be(database: Database, tmp_path: Path) -> None:
    """A remote that cannot prove who it is gets no credentials: the account is paused, and the step says why."""

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GARBAGE)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        origin = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_executor(database, tmp_path, at(State.POLLING), spec=SPEC, server=origin) as setup:
            outcome = await setup.take()
            assert isinstance(outcome, o.Unauthorized)
            assert "It is tried again every 5 minutes." in outcome.reason
            assert setup.pauses.causes == {"shop": PauseCause.TLS.value}


@pytest.mark.fault(25)
async def test_five_failures_open_the_breaker(database: Database, tmp_path: Path) -> None:
    """A provider that is down: each step is repeated, and after the fifth nothing more is admitted for a while."""
    async with facing(database, tmp_path, State.POLLING, answering(DOWN)) as (setup, server):
        for _ in range(5):
            assert isinstance(await setup.take(), o.Retry)
        with pytest.raises(AccountClosedError):
            setup.budget.check_open()
        server.answer = answering(reply(200, b'{"status": "pending"}'))
        setup.clock.at += 3600
        setup.lease.renewed(*moment(setup.clock))
        setup.step.job = setup.step.job.but(deadline_at=setup.clock.at + 3600)
        assert isinstance(await setup.take(), o.Pending)
        assert setup.budget.breaker == "closed"
        setup.budget.check_open()


@pytest.mark.fault(27)
@pytest.mark.parametrize(("data", "kind"), [(CIRCLE, o.Retry), (PAGE, o.Retry | o.Unmapped), (SHORT, o.Retry)])
async def test_a_poll_that_makes_no_sense(database: Database, tmp_path: Path, data: bytes, kind: type) -> None:
    """Redirects in a circle, a page for people, half of a reply: the job waits, and no state is invented."""
    async with facing(database, tmp_path, State.POLLING, closing(data)) as (setup, _):
        assert isinstance(await setup.take(), kind)


@pytest.mark.fault(16, 65)
async def test_a_lost_lane_ends_the_step_before_its_request(database: Database, tmp_path: Path) -> None:
    """Another daemon has taken the lane: the intent is refused, and so nothing is sent and there is no outcome."""
    async with facing(database, tmp_path, State.QUEUED, answering(reply())) as (setup, server):
        await LaneStore(database).take("another", 1, 60.0, force=True, accounts=["shop"])
        with pytest.raises(SupersededError):
            await setup.take()
        assert server.asked == []


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_58_secrets_that_only_the_log_knows(database: Database, tmp_path: Path, status: int) -> None:
    """A provider quotes one, such as that of another account: it is in no outcome, and in no reason of a pause."""
    quoted = reply(status, b'{"error": "canary-of-another is not yours"}')
    async with facing(database, tmp_path, State.POLLING, answering(quoted)) as (setup, _):
        setup.log.add_secrets(["canary-of-another"])
        outcome = await setup.take()
        told = (str(outcome), str(setup.budget.paused), str(setup.pauses.reason("shop")), setup.output.getvalue())
    assert "[redacted] is not yours" in told[0]
    assert not [one for one in told if "canary-of-another" in one]


async def test_30_a_job_past_its_deadline(database: Database, tmp_path: Path) -> None:
    """It is not polled any more: its remote job is cancelled, and it expires."""
    async with facing(database, tmp_path, State.POLLING, answering(reply(200, b"{}"))) as (setup, server):
        setup.clock.at += 3601.0
        setup.lease.renewed(*moment(setup.clock))
        assert isinstance(await setup.take(), o.DeadlinePassed)
    assert [asked.method for asked in server.asked] == ["DELETE"]


CALLED = SPEC.replace('url = "/reports"\n', 'url = "/reports"\njson = { notify = "${callback_url}" }\n', 1)
CALLED += "\n[operations.report.callback]\nfirst_delay_s = 600\ninterval_s = 1800\n"


async def test_58_the_token_of_a_callback(database: Database, tmp_path: Path) -> None:
    """A provider that quotes the callback address does not bring it into a reason, nor into the log."""
    urls: list[str] = []

    async def quoting(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        urls.append(json.loads(asked.body)["notify"])
        token = urls[0].rpartition("/")[2]
        writer.write(reply(400, json.dumps({"error": f"nobody answers at {token}"}).encode()))
        await writer.drain()

    public = "https://tide.example"
    async with (
        serving(quoting) as server,
        open_executor(database, tmp_path, queued(), spec=CALLED, server=server.origin, public_url=public) as setup,
    ):
        outcome = await setup.take()
    (url,) = urls
    assert isinstance(outcome, o.Refused)
    assert "nobody answers at [redacted]" in outcome.reason
    assert url.rpartition("/")[2] not in outcome.reason + setup.output.getvalue()


def landed_names(folder: Path) -> set[str]:
    """The names of all files below a folder."""
    return {path.name for path in folder.rglob("*")}


async def test_65_no_manifest_is_written_past_the_lease(database: Database, tmp_path: Path) -> None:
    """The lane has another owner when the file has landed: the job is his, and nothing says that it has succeeded."""

    async def late(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        setup.lease.lost()
        writer.write(reply(200, b"a,b\n"))
        await writer.drain()

    async with facing(database, tmp_path, State.FETCHING, late) as (setup, server):
        outcome = await setup.take()
        assert len(server.asked) == 1
        assert isinstance(outcome, o.Interrupted)
    assert "manifest.json" not in landed_names(tmp_path)


LIMITED = SPEC + '\n[limits.headers]\nremaining = "X-Left"\nreset = "X-Reset"\nreset_is = "seconds"\n'


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (reply(200, b'{"status": "pending"}', "X-Left: 0", "X-Reset: 40"), o.Pending),
        (reply(429, b"{}", "X-Left: 0", "X-Reset: 40"), o.Throttled),
    ],
)
async def test_limit_headers_close_the_account(database: Database, tmp_path: Path, data: bytes, kind: type) -> None:
    """Whatever the reply is otherwise: nothing more is admitted until the provider's limit has room again."""
    async with (
        serving(answering(data)) as server,
        open_executor(database, tmp_path, at(State.POLLING), spec=LIMITED, server=server.origin) as setup,
    ):
        assert isinstance(await setup.take(), kind)
        assert setup.budget.closed_until == pytest.approx(setup.clock.at + 40)
        (line,) = setup.events("account.paused")
    assert line["until_s"] == 40.0
    assert line["cause"] == ("throttled" if kind is o.Throttled else "limit")


def _out_of_memory() -> bool:
    raise MemoryError


async def test_a_lack_of_memory_is_not_the_jobs_fault(database: Database, tmp_path: Path) -> None:
    """It ends the daemon, instead of counting as a crash of the job that was there by chance."""
    async with facing(database, tmp_path, State.POLLING, closing(LOST)) as (setup, _):
        setup.may_send = _out_of_memory
        with pytest.raises(MemoryError):
            await setup.take()
