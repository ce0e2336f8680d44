"""The page of the states is up to date, and each rule leads only to its declared states."""

import itertools
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.domain.sample_jobs import NOW, SAMPLES, job
from tidewaiter.domain import outcome as o
from tidewaiter.domain import states_page
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.stages import Stages
from tidewaiter.domain.state_machine import BY_STATE, TABLE, IllegalOutcomeError, TableRow, Transition, advance

_COUNTERS: list[dict[str, object]] = [
    {},
    {"failures": 50, "crashes": 50, "fetches": 50, "unknowns": 50, "resubmits": 50, "agains": 50},
    {"shared": True},
    {"shared": True, "fetches": 50, "failures": 50},
    {"cancel_requested": True},
    {"expiries": 50, "expired_at": NOW - 99_000, "submitted_at": NOW},
    {"poll_at": NOW + 50},
]
_STAGES = Stages(("upload", "submit", "enqueue", "run"))
_JOBS = [
    {"handle": handle, "stage": stage, **counters}
    for handle in (None, "h")
    for stage in (None, "submit", "enqueue", "run")
    for counters in _COUNTERS
]
_POLICIES = (
    OperationPolicy(),
    OperationPolicy(repeatable=True, cancels=True, cleans=True),
    OperationPolicy(stages=_STAGES),
    OperationPolicy(stages=_STAGES, repeatable=True, cancels=True),
)
_MORE_SAMPLES = (
    o.Duplicate(None),
    o.Crashed("r", sent=False),
    o.Retry("r", progressed=True),
    o.Pending(links=(Link("http://x/"),)),
)


def _reached(state: State, kind: type[o.Outcome]) -> set[State]:
    outcomes = [SAMPLES[kind], *(one for one in _MORE_SAMPLES if type(one) is kind)]
    return {
        advance(replace(job(state), **changes), outcome, policy, NOW, Random(1)).job.state  # type: ignore[arg-type]
        for changes, outcome, policy in itertools.product(_JOBS, outcomes, _POLICIES)
    }


@pytest.mark.parametrize(("state", "kind"), sorted(TABLE, key=str), ids=str)
def test_every_target_is_reached_and_no_other(state: State, kind: type[o.Outcome]) -> None:
    """What the table names as next states is what its rules lead to: the page shows neither more nor less."""
    assert _reached(state, kind) == set(TABLE[state, kind].targets)


def test_a_rule_that_leaves_its_targets_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule can lead only where the table says."""

    def wrong(_context: object, _outcome: o.Outcome) -> Job:
        return job(State.FAILED)

    monkeypatch.setitem(TABLE, (State.QUEUED, o.Ready), Transition(wrong, (State.FETCHING,)))
    with pytest.raises(IllegalOutcomeError, match="against the table"):
        advance(job(State.QUEUED), o.Ready(), OperationPolicy(), NOW, Random(1))


def test_the_page_is_made_from_the_table() -> None:
    """docs/states.md says what the table says."""
    page = Path(__file__).parents[2] / "docs" / "states.md"
    assert page.read_text() == states_page.render(), "run `make docs-states`"


def test_every_state_has_a_meaning() -> None:
    """The page explains each state."""
    assert list(states_page.MEANING) == list(State)


@pytest.mark.parametrize("name", states_page.WAYS)
def test_every_way_goes_through_the_table(name: str) -> None:
    """The ways that the page shows are possible."""
    state = states_page.start_of(name)
    for kind, target in states_page.WAYS[name]:
        assert target in TABLE[state, kind].targets
        state = target


def test_every_row_says_where_it_leads() -> None:
    """A row has targets where it has a rule, and none where it forbids the outcome."""
    rows: list[TableRow] = [row for own in BY_STATE.values() for row in own]
    assert all(bool(row.targets) == (row.rule is not None) for row in rows)
