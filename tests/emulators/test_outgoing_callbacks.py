"""Callbacks that a server sends: real POSTs to a real receiver, when they are due, and how they fail."""

from collections.abc import AsyncIterator, Iterable

import pytest

from tests.emulators.callback_receiver import Receiver
from tests.emulators.manual_clock import ManualClock
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault
from tidewaiter.emulators.emulated_replies import Reply, json_reply
from tidewaiter.emulators.outgoing_callbacks import Callback
from tidewaiter.emulators.server import EmulatedRoute, EmulatedServer


class Herald(EmulatedServer):
    """A server that is asked nothing and has something to say."""

    def routes(self) -> Iterable[EmulatedRoute]:
        return []

    def owe(self, url: str, in_s: float = 0.0, payload: object = "done") -> None:
        """Plan one callback."""
        due = self.clock.monotonic() + in_s
        self.callbacks.plan(Callback("news", url, due, lambda _fault: json_reply(payload)))


@pytest.fixture
async def herald(clock: ManualClock) -> AsyncIterator[Herald]:
    """A running herald."""
    async with Herald(clock=clock) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A running receiver."""
    async with Receiver() as running:
        yield running


async def test_a_callback_goes_out_when_it_is_due(herald: Herald, receiver: Receiver, clock: ManualClock) -> None:
    """After the seconds that it was planned for, with type and body, without credentials, and is recorded."""
    start = clock.at
    herald.owe(receiver.url, in_s=100)
    received = await receiver.next()
    assert (received.path, received.content_type, received.body) == ("/pingback/s3cret", "application/json", b'"done"')
    assert received.authorization is None
    await herald.callbacks.settle()
    (posted,) = herald.callbacks.sent
    assert (posted.at, posted.name, posted.url, posted.status) == (start + 100, "news", receiver.url, 200)
    assert receiver.waiting == 0


async def test_what_is_overdue_goes_out_at_once(herald: Herald, receiver: Receiver, clock: ManualClock) -> None:
    """A due time in the past does not move the clock."""
    start = clock.at
    herald.owe(receiver.url, in_s=-50)
    await receiver.next()
    assert clock.at == start


async def test_a_late_callback(herald: Herald, receiver: Receiver, clock: ManualClock) -> None:
    """It comes that many seconds after it was due."""
    start = clock.at
    herald.faults.add("news", InjectedFault(FaultKind.LATENCY, seconds=3600))
    herald.owe(receiver.url, in_s=100)
    await receiver.next()
    assert clock.at == start + 3700


async def test_a_lost_callback(herald: Herald, receiver: Receiver) -> None:
    """It never comes; the next one does."""
    herald.faults.add("news", InjectedFault(FaultKind.LOST))
    herald.owe(receiver.url, payload="first")
    await herald.callbacks.settle()
    herald.owe(receiver.url, payload="second")
    assert (await receiver.next()).body == b'"second"'
    await herald.callbacks.settle()
    assert (receiver.waiting, len(herald.callbacks.sent)) == (0, 1)


async def test_a_duplicate_callback(herald: Herald, receiver: Receiver, clock: ManualClock) -> None:
    """It comes once more after some seconds, the same."""
    herald.faults.add("news", InjectedFault(FaultKind.DUPLICATE, seconds=30))
    herald.owe(receiver.url)
    assert await receiver.next() == await receiver.next()
    await herald.callbacks.settle()
    first, second = herald.callbacks.sent
    assert (second.at - first.at, receiver.waiting) == (30, 0)


async def test_a_forged_callback(herald: Herald, receiver: Receiver) -> None:
    """Its body is the text of the fault, whatever that is."""
    herald.faults.add("news", InjectedFault(FaultKind.FORGED, text='{"n": NaN'))
    herald.owe(receiver.url)
    assert (await receiver.next()).body == b'{"n": NaN'


async def test_a_spoiled_callback(herald: Herald, receiver: Receiver) -> None:
    """The faults that spoil a reply spoil a callback too."""
    herald.faults.add("news", InjectedFault(FaultKind.MALFORMED))
    herald.faults.add("news", InjectedFault(FaultKind.WRONG_TYPE))
    for _ in range(2):
        herald.owe(receiver.url)
        await herald.callbacks.settle()
    broken, mistyped = await receiver.next(), await receiver.next()
    assert broken.body == b'"do{"'
    assert (mistyped.content_type, mistyped.body) == ("text/html", b'"done"')


async def test_faults_of_any_request_leave_callbacks_alone(herald: Herald, receiver: Receiver) -> None:
    """A rule for any route neither spoils a callback nor is used up by it."""
    rule = FaultRule("*", 1, InjectedFault(FaultKind.LOST))
    herald.faults.extend([rule])
    herald.owe(receiver.url)
    await receiver.next()
    assert herald.faults.rules == (rule,)


@pytest.mark.parametrize("status", [404, 307, 500])
async def test_a_refused_callback_is_not_repeated(herald: Herald, receiver: Receiver, status: int) -> None:
    """Whatever the other side answers, redirects included, that was it."""
    receiver.status = status
    herald.owe(receiver.url)
    await receiver.next()
    await herald.callbacks.settle()
    assert [posted.status for posted in herald.callbacks.sent] == [status]
    assert receiver.waiting == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", ""])
async def test_nobody_there(herald: Herald, url: str) -> None:
    """An address where nobody answers, or that is none, is recorded without a status and harms nothing."""
    herald.owe(url)
    await herald.callbacks.settle()
    assert [posted.status for posted in herald.callbacks.sent] == [None]


async def test_nothing_is_sent_for_what_is_not_owed_any_more(herald: Herald, clock: ManualClock) -> None:
    """What to send is asked only when it is due; nothing to send means no POST."""
    asked_at: list[float] = []

    def compose(_fault: InjectedFault) -> Reply | None:
        asked_at.append(clock.at)
        return None

    due = clock.at + 5
    herald.callbacks.plan(Callback("news", "http://127.0.0.1:1/", due, compose))
    await herald.callbacks.settle()
    assert (asked_at, herald.callbacks.sent) == ([due], [])


async def test_what_is_owed_over_a_stop(clock: ManualClock, receiver: Receiver) -> None:
    """A server that is down sends nothing; once it is started again it sends what it owes, once."""
    herald = Herald(clock=clock)
    herald.owe(receiver.url, in_s=100, payload="planned before the first start")
    async with herald:
        await receiver.next()
        await herald.callbacks.settle()
        herald.owe(receiver.url, in_s=100, payload="planned just before the stop")
    assert (receiver.waiting, len(herald.callbacks.sent)) == (0, 1)
    async with herald:
        assert (await receiver.next()).body == b'"planned just before the stop"'
        await herald.callbacks.settle()
    async with herald:
        await herald.callbacks.settle()
    assert receiver.waiting == 0
