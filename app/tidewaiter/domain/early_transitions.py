"""The rules for files that are fetched before their remote job has finished.

The remote job is polled again afterwards, at the time that the poll before has set. What has landed stays: the list of
the poll that says ready decides which files the result has, and they are recognized in it. So a file that cannot be
fetched yet costs nothing, and only the fetch after that poll can fail.
"""

from tidewaiter.domain import outcome as o
from tidewaiter.domain.common_transitions import RuleContext, cut
from tidewaiter.domain.job import Job, State


def fetch_early(context: RuleContext, polled: Job, outcome: o.Pending) -> Job:
    """Fetch the files that are there already; ``polled`` is the job as it would wait for its next poll."""
    return polled.but(
        state=State.FETCHING,
        poll_at=polled.due_at,
        due_at=context.now,
        links=outcome.links,
        reason=None,
        ready_at=None,
    )


def part_landed(context: RuleContext, _outcome: o.PartLanded) -> Job:
    """They have landed; the download is not counted, because the next one has other files."""
    return poll_again(context, None)


def poll_again(context: RuleContext, reason: str | None) -> Job:
    """The remote job is polled at its time; ``reason`` says why not all of its files could be fetched already."""
    job = context.job
    return context.becomes(
        state=State.POLLING,
        due_at=max(context.now, job.poll_at or context.now),
        poll_at=None,
        links=job.links if context.policy.links_add_up else (),
        fetches=max(0, job.fetches - 1),
        failures=0,
        crashes=0,
        reason=None if reason is None else cut(f"a file of the unfinished remote job was not fetched yet: {reason}"),
    )
