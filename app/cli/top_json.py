"""What ``top --json`` prints: the overview of the HTTP API, and what only an operator of the database sees."""

from typing import TYPE_CHECKING, Any

from app.cli.top_view import Sight, delay_of
from app.domain.formatting import rfc3339
from app.domain.job import Job, State

if TYPE_CHECKING:
    from app.web.page.lanes import LaneView


def as_json(sight: Sight) -> dict[str, Any]:
    """The overview at one moment. Without an overview ``error`` says why.

    With one account, ``jobs`` is null: counting them would read them all.
    """
    head = {"at": rfc3339(sight.now), "database": sight.database, "account": sight.account, "error": sight.trouble}
    picture = sight.picture
    if picture is None:
        return head
    from app.desk.views import overview_json  # noqa: PLC0415  # help and completion do without

    overview = overview_json(picture)
    return {
        **overview,
        **head,
        "jobs": None if sight.account else overview["jobs"],
        "daemons": [
            {
                "owner": one.owner,
                "host": one.host,
                "pid": one.pid,
                "version": one.version,
                "started_at": rfc3339(one.started_at),
                "seen_at": rfc3339(one.lease_until - sight.lease_s),
            }
            for one in picture.workers
        ],
        "lanes": [_lane_json(lane, sight.now) for lane in sight.lanes],
        "landings": {
            "per_minute": [minute.ended.get(State.SUCCEEDED, 0) for minute in picture.minutes],
            "delay_p50_s": delay_of(picture, 0.5),
            "delay_p95_s": delay_of(picture, 0.95),
        },
        "notifications": {
            name: {"waiting": one.waiting, "dead": one.dead} for name, one in picture.undelivered.items()
        },
        "parked": [_trouble_json(job) for job in picture.parked],
        "failed": [_trouble_json(job) for job in picture.failures],
    }


def _lane_json(lane: "LaneView", now: float) -> dict[str, Any]:
    limits = lane.limits
    return {
        "lane": lane.id,
        "due": lane.due,
        "oldest_due_at": rfc3339(now - lane.late_s if lane.due else None),
        "account": lane.account,
        "shard": lane.shard,
        "provider": lane.provider,
        "host": lane.host,
        "stands": lane.standing.value,
        "reason": lane.reason,
        "until": rfc3339(lane.until),
        "requests": {"used": lane.used, "most": limits.requests, "period_s": limits.period_s},
        "late_s": round(lane.late_s, 3),
        "live": lane.live,
    }


def _trouble_json(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "account": job.account,
        "operation": job.operation,
        "state": job.state.value,
        "reason": job.reason,
        "finished_at": rfc3339(job.finished_at),
    }
