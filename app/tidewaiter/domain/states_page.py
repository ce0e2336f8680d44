"""``python -m tidewaiter.domain.states_page`` prints ``docs/states.md``, which is made from the state table."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import LIVE, State
from tidewaiter.domain.state_machine import ANY_LIVE, BY_STATE, SAME, TABLE, TableRow

MEANING: Final[Mapping[State, str]] = {
    State.QUEUED: "No submit has been sent; requests before it may have been.",
    State.SUBMITTING: "The intent to submit, or to start the remote job, is stored; the request may have been sent.",
    State.RECONCILING: "The outcome of such a request is unknown and is being found out.",
    State.STARTING: "The handle of the remote job is stored; another request has to start it.",
    State.POLLING: "The handle of the remote job is stored; the provider is asked when the job is due.",
    State.FETCHING: "The remote job has finished, or has made some of its files; they are landing.",
    State.CLEANING: "Every file is durable; the remote job is being deleted.",
    State.CANCELLING: "A cancel request was made; the provider is being asked to cancel the remote job.",
    State.PARKED: "A person must decide what happened to the submit, or to the request that starts the remote job.",
    State.SUCCEEDED: "Every file has landed.",
    State.FAILED: "The job cannot succeed any more; the reason says why.",
    State.CANCELLED: "A cancel request ended the job.",
    State.EXPIRED: "The deadline passed.",
}

_Way: TypeAlias = Sequence[tuple[type[o.Outcome], State]]

WAYS: Final[Mapping[str, _Way]] = {
    "the usual way": (
        (o.Intended, State.SUBMITTING),
        (o.Accepted, State.POLLING),
        (o.Pending, State.POLLING),
        (o.Ready, State.FETCHING),
        (o.FetchStarted, State.FETCHING),
        (o.Stored, State.CLEANING),
        (o.Cleaned, State.SUCCEEDED),
    ),
    "with a request before the submit, and one that starts the remote job": (
        (o.StepDone, State.QUEUED),
        (o.Intended, State.SUBMITTING),
        (o.Accepted, State.STARTING),
        (o.Intended, State.SUBMITTING),
        (o.StepDone, State.POLLING),
        (o.Ready, State.FETCHING),
    ),
    "it is unknown whether the remote job was started": (
        (o.Intended, State.SUBMITTING),
        (o.Unknown, State.RECONCILING),
        (o.Undecidable, State.PARKED),
        (o.AdoptDecided, State.POLLING),
    ),
    "the reply to the submit is the file": (
        (o.Intended, State.SUBMITTING),
        (o.Stored, State.SUCCEEDED),
    ),
    "nothing has to be submitted": (
        (o.Ready, State.FETCHING),
        (o.FetchStarted, State.FETCHING),
        (o.Stored, State.SUCCEEDED),
    ),
    "the outcome of the submit is unknown, and the remote job is found": (
        (o.Intended, State.SUBMITTING),
        (o.Unknown, State.RECONCILING),
        (o.Adopted, State.POLLING),
    ),
    "the outcome stays unknown, and a person decides": (
        (o.Intended, State.SUBMITTING),
        (o.Unknown, State.RECONCILING),
        (o.Undecidable, State.PARKED),
        (o.RetryDecided, State.QUEUED),
    ),
    "the links have expired": (
        (o.Ready, State.FETCHING),
        (o.FetchStarted, State.FETCHING),
        (o.LinksExpired, State.POLLING),
        (o.Ready, State.FETCHING),
    ),
    "files are listed before the remote job has finished": (
        (o.Pending, State.FETCHING),
        (o.FetchStarted, State.FETCHING),
        (o.PartLanded, State.POLLING),
        (o.Ready, State.FETCHING),
    ),
    "a remote job of the same question is reused": (
        (o.Reused, State.POLLING),
        (o.Ready, State.FETCHING),
        (o.FetchStarted, State.FETCHING),
        (o.Stored, State.SUCCEEDED),
    ),
    "the provider fails the remote job for a passing reason": (
        (o.FailedForNow, State.QUEUED),
        (o.Intended, State.SUBMITTING),
        (o.Accepted, State.POLLING),
    ),
    "a cancel request": (
        (o.CancelAsked, State.CANCELLING),
        (o.Cancelled, State.CANCELLED),
    ),
}
"""Paths through the table, each from the state in which its first outcome can happen. A test checks every step."""

_STARTS = {
    "it is unknown whether the remote job was started": State.STARTING,
    "the links have expired": State.POLLING,
    "files are listed before the remote job has finished": State.POLLING,
    "the provider fails the remote job for a passing reason": State.POLLING,
    "a cancel request": State.POLLING,
}

_HEAD = """\
# States of a job

Made from the state table (`app/tidewaiter/domain/state_machine.py`) by `make docs-states`; do not edit.

A step works on a job and learns one outcome. The table turns state and outcome into the next state; a pair that is not
in it cannot happen. `app/tidewaiter/domain/outcome.py` explains each outcome.
"""


def start_of(name: str) -> State:
    """The state in which a way begins."""
    return _STARTS.get(name, State.QUEUED)


def render() -> str:
    """The page, in Markdown."""
    return "\n".join((_HEAD, *_meanings(), *_ways(), *_table()))


def _meanings() -> Iterator[str]:
    yield "| state | meaning |"
    yield "|---|---|"
    for state, meaning in MEANING.items():
        yield f"| `{state}` | {meaning} |"
    yield ""


def _ways() -> Iterator[str]:
    yield "## Ways of a job\n"
    yield "```text"
    for number, (name, way) in enumerate(WAYS.items()):
        if number:
            yield ""
        yield f"{name}:"
        state = start_of(name)
        yield f"  {state}"
        for kind, target in way:
            yield f"    --{kind.__name__}--> {target}" + (" (stays)" if target is state else "")
            state = target
    yield "```\n"


def _table() -> Iterator[str]:
    yield "## The whole table\n"
    yield "Each line is one next state and the outcomes that can lead to it. Where an outcome is in several lines of"
    yield "a state, the counters and the handle of the job and the policy of its operation decide between them."
    yield ""
    yield "```text"
    yield "every live state, where the state itself says nothing else"
    yield from _lines(ANY_LIVE)
    for state, rows in BY_STATE.items():
        yield ""
        yield f"{state}"
        yield from _lines(rows)
    yield "```\n"
    ends = ", ".join(f"`{state}`" for state in State if state not in BY_STATE)
    live = ", ".join(f"`{state}`" for state in State if state in LIVE)
    yield f"Live states: {live}. Terminal states, which nothing leaves: {ends}."
    yield f"The table has {len(TABLE)} pairs.\n"


def _lines(rows: Sequence[TableRow]) -> Iterator[str]:
    """The rows by target, in the order of their first row; illegal outcomes come last."""
    by_target: dict[str, list[str]] = {}
    for row in rows:
        for target in row.targets:
            by_target.setdefault("(stays)" if target is SAME else f"-> {target}", []).append(row.kind.__name__)
    if never := [row.kind.__name__ for row in rows if row.rule is None]:
        by_target["(never)"] = never
    for label, kinds in by_target.items():
        yield f"    {label:15}  {', '.join(kinds)}"


if __name__ == "__main__":
    sys.stdout.write(render())
