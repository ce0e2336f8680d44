"""Sample jobs in every state, and one step on each."""

from dataclasses import replace
from random import Random

from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.state_machine import advance

NOW = 1_000_000.0


PLAIN = OperationPolicy()


def job(state: State, **changes: object) -> Job:
    """A job as it may stand in that state, submitted long ago."""
    plain = Job(
        7, 1, "acme", "statistics", {}, state, 4, NOW, NOW - 9000, NOW + 9000, handle="h", submitted_at=NOW - 5000
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name fields of Job


def step(before: Job, outcome: o.Outcome, policy: OperationPolicy = PLAIN, now: float = NOW) -> Job:
    """The job after one outcome."""
    return advance(before, outcome, policy, now, Random(1)).job


ARTIFACT = Artifact(0, "a.json", "a", "x/a.json", 3, "00" * 32, "application/json", NOW)

SAMPLES: dict[type[o.Outcome], o.Outcome] = {
    type(sample): sample
    for sample in (
        o.Intended("k"), o.Accepted("h"), o.Duplicate("h"), o.StepDone("s"), o.Reused("h", NOW), o.StepStarted(),
        o.Unsent("r"), o.Unknown("r"),
        o.Adopted("h"),
        o.Absent("r"), o.Undecidable("r"), o.Pending("w"), o.Ready((Link("http://x/"),)), o.FetchStarted(),
        o.FilesLanded(),
        o.Stored((ARTIFACT,)), o.LinksExpired("r"), o.LinksLost("r"), o.PartLanded(), o.Gone("r"),
        o.FailedForNow("r"),
        o.Unmapped("?"), o.Cleaned(), o.Cancelled(), o.LeftAlone(),
        o.Retry("r"), o.NotYet("r"), o.Throttled("r"), o.Unauthorized("r"), o.StorageFull("r"), o.Interrupted(),
        o.Refused("r"), o.Crashed("r"), o.DeadlinePassed("r"), o.CancelAsked(), o.RetryDecided(), o.AdoptDecided("h"),
    )
}  # fmt: skip
"""One outcome of each kind."""
