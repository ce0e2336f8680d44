"""Faults of archives: cut, damaged, hostile, or of another kind."""

from random import Random

from tests.lying.answers import Script
from tests.lying.archives import DAMAGED, HOSTILE, Make, members_of
from tests.lying.plan import ARCHIVES, FilePlan, Plan
from tests.lying.trick import Exchange, Play, Trick

_FILE = frozenset({"file"})
_BROKEN = "unpack|archive|member|breaks|zip|tar|gzip|bytes|ended|crc"


def _has_archive(plan: Plan, file: FilePlan | None) -> bool:
    return file is not None and plan.shape in ARCHIVES


def _archive(make: Make) -> Play:
    def play(exchange: Exchange) -> Script:
        answer, plan = exchange.answer, exchange.remote.plan
        if answer.status != 200:
            return answer.script()
        rand = Random(exchange.rand.getrandbits(32))
        body = make(plan.shape, answer.body, members_of(plan, exchange.remote.versions[0]), rand)
        return answer.but(body=body, note=f"200, {make.__name__}, {len(body)} bytes").without("etag").script()

    return play


TRICKS = [
    Trick(f"archive-{name}", _FILE, _archive(make), _BROKEN, fits=_has_archive, runs=2)
    for name, make in DAMAGED.items()
]
TRICKS += [
    Trick(f"archive-{name}", _FILE, _archive(make), _BROKEN, fatal=_FILE, fits=_has_archive)
    for name, make in HOSTILE.items()
]
