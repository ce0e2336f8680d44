"""A job that ends the daemon in every step of one kind, beside one whose download takes its time, in virtual time."""

import asyncio
from pathlib import Path

import pytest

from tests.simulation.stub_world import ReplyData, Sent, StubWorld, in_stub_world
from tests.support.report_spec import HEAD, POLL
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import State

SPEC = (
    HEAD
    + """
[operations.report.params]
name = { help = "which" }
[operations.report.submit]
url = "/reports"
json = { name = "${params.name}" }
handle = "id"
"""
    + POLL
    + """
[operations.report.results]
url = "/files/${handle}"
"""
)
DOWNLOAD_S = 20.0


@pytest.mark.fault(9)
@pytest.mark.invariant(7)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("deadly", "fewest", "most"),
    [
        pytest.param("GET /files/bad", *[OperationPolicy().most_fetches] * 2, marks=pytest.mark.chaos),
        ("GET /reports/bad", OperationPolicy().most_crashes, OperationPolicy().most_crashes + 1),
    ],
)
def test_it_fails_alone(template: Path, deadly: str, fewest: int, most: int) -> None:
    """The power is cut each time that it asks; it fails after its number of tries, and the other job lands."""
    asked = asyncio.Event()
    worlds: list[StubWorld] = []

    def answer(sent: Sent) -> ReplyData:
        worlds[0].wire.latency_s = DOWNLOAD_S if sent.path == "GET /files/good" else 0.02
        if sent.path == deadly:
            asked.set()
        match sent.path.split("/"):
            case ["POST ", _]:
                assert isinstance(sent.json, dict)
                return ReplyData(200, {"id": sent.json["name"]})
            case ["GET ", "reports", _]:
                return ReplyData(200, {"status": "ready"})
            case _:
                return ReplyData(200, b"a file")

    async def story(world: StubWorld) -> int:
        worlds.append(world)
        bad, good = [await world.submit({"name": name}) for name in ("bad", "good")]
        ended = asyncio.ensure_future(world.ended(bad))
        cuts = 0
        while not ended.done():
            at_asked = asyncio.ensure_future(asked.wait())
            await asyncio.wait([ended, at_asked], return_when=asyncio.FIRST_COMPLETED)
            if asked.is_set():
                asked.clear()
                cuts += 1
                await world.cut(1.0)
        assert (await ended).state is State.FAILED
        assert "the daemon ended during the last" in ((await ended).reason or "")
        assert (await world.ended(good)).state is State.SUCCEEDED
        return cuts

    assert fewest <= in_stub_world(template, SPEC, answer, story) <= most
