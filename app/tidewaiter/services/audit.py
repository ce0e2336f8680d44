"""The audit of requests that change something: actor, action, target and outcome (log event ``admin.acted``)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tidewaiter.clock import Clock
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.services.actors import LONGEST_NAME, LONGEST_REASON, Actor, Channel, one_line
from tidewaiter.services.job_requests import RequestError


@asynccontextmanager
async def audited(
    actions: AdminActionStore, clock: Clock, actor: Actor, action: str, target: str
) -> AsyncIterator[None]:
    """Store how a request of the command line ended. A daemon logs it, because that process keeps no log.

    Requests by HTTP are logged by :mod:`tidewaiter.web.access_control`.

    Args:
        actions: stores the request.
        clock: the time.
        actor: who sends the request.
        action: what is requested.
        target: what it acts on, such as ``job 12``.
    """
    outcome = "failed"
    try:
        yield
        outcome = "done"
    except RequestError:
        outcome = "refused"
        raise
    finally:
        if actor.channel is Channel.CLI:
            now = clock.now()
            await actions.add_line(audit_fields(actor, action, target, outcome, now), now)


def audit_fields(actor: Actor, action: str, target: str, outcome: str, at: float) -> dict[str, object]:
    """The fields of ``admin.acted``; ``at`` is in epoch seconds."""
    given = {"reason": one_line(actor.reason, LONGEST_REASON)} if actor.reason else {}
    return {
        "caller": one_line(actor.name, LONGEST_NAME), "way": actor.channel.value, "action": action, "target": target,
        "outcome": outcome, "acted_at": rfc3339(at), **given,
    }  # fmt: skip
