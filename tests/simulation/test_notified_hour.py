"""An hour of faults with an unreliable receiver: every job's end is notified, and nothing else."""

import base64
import hashlib
import hmac
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.simulation.invariants import broken_invariants
from tests.simulation.simulated_hour import Plan, live_through
from tests.simulation.simulated_wire import SimulatedReply, SimulatedWire
from tests.simulation.world import World, in_world, one_daemon
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.notification import NOTIFIABLE
from tidewaiter.emulators.emulated_replies import page_reply
from tidewaiter.transport.wire import LostReplyError, NotSentError, Timeouts

SEEDS = 3
KEY = b"a key of thirty-two bytes, not m"
URL = "https://ops.example.com/hook"
_CALM_S = 3 * 3600.0


def _reply(status: int) -> SimulatedReply:
    return SimulatedReply(page_reply(status, ""), URL, "", breaks=False)


class HearingWire(SimulatedWire):
    """The simulation's network with a receiver on it: ``heard`` is what it took, whether or not we learned of it."""

    bad = True

    def __init__(self, world: World) -> None:
        super().__init__([world.emulator, world.files], world.clock, world.rand)
        self.heard: list[tuple[str, str]] = []
        self._chance = Random(world.seed + 1)

    @asynccontextmanager
    async def open(
        self, request: WireRequest, *, private_ok: PermittedNetworks, timeouts: Timeouts, stream: bool
    ) -> AsyncIterator[SimulatedReply]:
        if request.url != URL:
            async with super().open(request, private_ok=private_ok, timeouts=timeouts, stream=stream) as reply:
                yield reply
            return
        fate = self._chance.random() if self.bad else 1.0
        if fate < 0.1:
            raise NotSentError("connection refused")
        await self._clock.sleep(self._chance.uniform(0, 10))
        if fate < 0.3:
            yield _reply(500)
            return
        self._take(request)
        if fate < 0.45:
            raise LostReplyError("the connection broke before the reply")
        yield _reply(204)

    def _take(self, request: WireRequest) -> None:
        headers, body = request.headers, request.body or b""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        proof = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{proof}"
        assert abs(int(headers["webhook-timestamp"]) - self._clock.now()) < 20
        self.heard.append((headers["webhook-id"], body.decode()))


async def _told_hour(world: World) -> list[str]:
    """What is wrong after the hour, and after the calm in which all that waits is taken."""
    world.notifications = {
        "ops": {
            "url": URL,
            "secret": f"whsec_{base64.b64encode(KEY).decode()}",
            "states": [state.value for state in sorted(NOTIFIABLE)],
        }
    }
    wire = world.wire = HearingWire(world)
    await live_through(world, Plan(jobs=12))
    wire.bad = False
    await one_daemon(world, _CALM_S, is_cut=False)
    return broken_invariants(world) + _untold(world, wire)


def _untold(world: World, wire: HearingWire) -> list[str]:
    with sqlite3.connect(world.database_path) as database:
        states = ", ".join(f"'{state.value}'" for state in NOTIFIABLE)
        entered = f"SELECT job_id, state FROM history WHERE state IN ({states}) AND state_from <> state"  # noqa: S608
        ended = sorted(database.execute(entered))
        written = sorted(database.execute("SELECT job_id, state FROM notifications"))
        rows = list(database.execute("SELECT message_id, status, body FROM notifications"))
    database.close()
    wrong = [] if ended == written else [f"{ended} was reached, {written} was written"]
    wrong += [f"{name} is {status}" for name, status, _ in rows if status != "delivered"]
    if {(name, body) for name, _, body in rows} != set(wire.heard):
        wrong.append("what was heard is not what was written")
    told = [(data["id"], data["state"]) for data in (json.loads(body)["data"] for _, body in set(wire.heard))]
    return wrong + ([] if sorted(told) == written else [f"{sorted(told)} was told, {written} was written"])


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.timeout(300)
def test_every_end_is_notified(template: Path) -> None:
    """Whatever dies and whatever is lost: each end and each parking is heard, under one id with one body, none else."""
    again = 0
    for seed in range(SEEDS):

        async def live(world: World) -> tuple[list[str], int]:
            wrong = await _told_hour(world)
            assert isinstance(world.wire, HearingWire)
            return wrong, len(world.wire.heard) - len(set(world.wire.heard))

        wrong, repeated = in_world(seed, template, live)
        assert not wrong, f"seed {seed}: " + "; ".join(wrong)
        again += repeated
    assert again, "none was ever told twice: the faults did not bite"
