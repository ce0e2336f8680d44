"""Every fault that only one mechanism can meet: archives, bodies, XML, kept values, logins, lists, searches, again."""

from pathlib import Path

import pytest

from tests.lying.archives import DAMAGED, HOSTILE
from tests.lying.batches import summary
from tests.lying.catalogue import FAULTS
from tests.lying.claims import broken
from tests.lying.plan import ARCHIVES, EXCHANGES, LISTS, SHAPES, Fault, FilePlan, Plan
from tests.lying.run import Ended, run
from tidewaiter.domain.job import State

MECHANISMS = SHAPES[SHAPES.index("staged") :]
_SALTS = 4
_POLLS = {"early": 3, "added": 3, "named": 0}
_AT_ONCE = 120


def _plan(seed: int, shape: str, *, faults: tuple[tuple[str, tuple[Fault | None, ...]], ...] = ()) -> Plan:
    number = 3 if shape in LISTS else 1
    files = tuple(
        FilePlan(f"part-{at}" if number > 1 else "report", 900, packed=shape == "gzip", size_told=at > 0)
        for at in range(number)
    )
    # A login is what a fault of logins needs; of XML there is none.
    auth = "bearer" if shape == "xml" else "session"
    media = "" if shape in ARCHIVES else "text/csv"
    return Plan(seed, shape, auth, media=media, files=files, polls=_POLLS.get(shape, 1), faults=faults)


def _own_faults() -> list[tuple[str, str, str]]:
    """Shape, exchange and fault, for each fault of one mechanism."""
    found = []
    for shape in MECHANISMS:
        for kind in dict.fromkeys((*EXCHANGES[shape], *(["login"] if shape == "staged" else []))):
            plan = _plan(0, shape)
            file = plan.files[0] if kind == "file" else None
            own = [
                name
                for name, trick in FAULTS.items()
                if kind in trick.on and trick.fits(plan, file) and (trick.own or name.startswith("archive-"))
            ]
            found += [(shape, "file0" if kind == "file" else kind, name) for name in own]
    return found


def _run(plans: list[Plan], template: Path) -> list[Ended]:
    some = (plans[start : start + _AT_ONCE] for start in range(0, len(plans), _AT_ONCE))
    return [ended for batch in some for ended in run(batch, template)]


@pytest.mark.slow
def test_an_honest_server(template: Path) -> None:
    """Each mechanism succeeds, and asks for what it needs, each thing once."""
    plans = [_plan(number, shape) for number, shape in enumerate(MECHANISMS, start=1)]
    ended = _run([*plans, _plan(100, "reuse"), _plan(101, "reuse")], template)
    found = [(one, sentence) for one in ended for sentence in broken(one)]
    assert not found, summary(found)
    assert {one.job.state for one in ended} == {State.SUCCEEDED}
    asked = {one.plan.shape: [each.kind for each in one.remote.asked if each.kind != "login"] for one in ended}
    assert asked["nested"].count("folder") == 3
    assert asked["early"] == ["submit", "poll", "poll", "file0", "poll", "file1", "poll", "file2"]
    searched = [("submit" in [each.kind for each in one.remote.asked]) for one in ended if one.plan.shape == "reuse"]
    assert set(searched) == {False, True}


@pytest.mark.slow
def test_whatever_a_server_does(template: Path) -> None:
    """The right files land or the job says why not; a damaged archive is asked for again, and a hostile one is not."""
    own = _own_faults()
    assert {name for *_, name in own} >= {name for name, trick in FAULTS.items() if trick.own}
    plans = [
        _plan(number, shape, faults=((kind, (Fault(name, salt),)),))
        for number, (shape, kind, name, salt) in enumerate(
            ((*one, salt) for one in own for salt in range(_SALTS)), start=1
        )
    ]
    ended = _run(plans, template)
    found = [(one, sentence) for one in ended for sentence in broken(one)]
    assert not found, summary(found)
    archives = [(fault.name, one.job.state) for one in ended for kind, fault in one.remote.met if kind == "file0"]
    # A bomb may say that it is small: then it is a damaged archive.
    either = {(f"archive-{name}", State.SUCCEEDED) for name in (*DAMAGED, "bomb")}
    assert {one for one in archives if one[0].startswith("archive-")} == either | {
        (f"archive-{name}", State.FAILED) for name in HOSTILE
    }
