"""The audit of requests that change something: actor, action, target and outcome (log event ``admin.acted``)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.services.actors import LONGEST_NAME, LONGEST_REASON, Actor, Channel, one_line
from tidewaiter.services.job_requests import RequestError

_MOST_SHOWN: Final = 10


@dataclass(slots=True)
class AuditedRequest:
    """A request under way; ``target`` is what it acts on, such as ``job 12``, and may become known during it."""

    target: str


@asynccontextmanager
async def audited(
    actions: AdminActionStore, clock: Clock, actor: Actor, action: str, target: str
) -> AsyncIterator[AuditedRequest]:
    """Store how a request of the command line ended. A daemon logs it, because that process keeps no log.

    Requests by HTTP are logged by :mod:`tidewaiter.web.access_control`.

    Args:
        actions: stores the request.
        clock: the time.
        actor: who sends the request.
        action: what is requested.
        target: what it acts on, as far as it is known before.
    """
    outcome, request = "failed", AuditedRequest(target)
    try:
        yield request
        outcome = "done"
    except RequestError:
        outcome = "refused"
        raise
    finally:
        if actor.channel is Channel.CLI:
            now = clock.now()
            await actions.add_line(audit_fields(actor, action, request.target, outcome, now), now)


def target_of(job_ids: Sequence[int]) -> str:
    """Jobs as the target of a request: ``job 12``, or the first of many and how many more."""
    shown = ", ".join(map(str, job_ids[:_MOST_SHOWN]))
    more = len(job_ids) - _MOST_SHOWN
    return f"{'job' if len(job_ids) == 1 else 'jobs'} {shown}{f' and {more} more' if more > 0 else ''}"


def audit_fields(actor: Actor, action: str, target: str, outcome: str, at: float) -> dict[str, object]:
    """The fields of ``admin.acted``; ``at`` is in epoch seconds."""
    given = {"reason": one_line(actor.reason, LONGEST_REASON)} if actor.reason else {}
    return {
        "caller": one_line(actor.name, LONGEST_NAME), "way": actor.channel.value, "action": action, "target": target,
        "outcome": outcome, "acted_at": rfc3339(at), **given,
    }  # fmt: skip
