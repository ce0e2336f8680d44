"""What ``top --json`` prints: the picture by the names that the rest of the command line has for things."""

from typing import TYPE_CHECKING, Any

from app.cli.top_view import Sight, delay_of
from app.domain.job import Job, State

if TYPE_CHECKING:
    from app.web.page.lanes import LaneView


def as_json(sight: Sight) -> dict[str, Any]:
    """The picture. Times are epoch seconds; ``per_minute`` begins an hour ago; ``error`` says why there is no picture.

    With one account, ``jobs`` is null: counting them would read them all.
    """
    head = {"at": sight.now, "database": sight.database, "account": sight.account, "error": sight.trouble}
    picture = sight.picture
    if picture is None:
        return head
    return {
        **head,
        "daemons": [
            {
                "owner": one.owner,
                "host": one.host,
                "pid": one.pid,
                "version": one.version,
                "started_at": one.started_at,
                "seen_at": one.lease_until - sight.lease_s,
            }
            for one in picture.workers
        ],
        "jobs": None if sight.account else {state.value: number for state, number in picture.counts.items()},
        "lanes": [_lane_as_json(lane) for lane in sight.lanes],
        "landings": {
            "per_minute": [minute.ended.get(State.SUCCEEDED, 0) for minute in picture.minutes],
            "delay_p50_s": delay_of(picture, 0.5),
            "delay_p95_s": delay_of(picture, 0.95),
        },
        "landed": [
            {
                **_job_as_json(one.job),
                "files": one.files,
                "name": one.name,
                "size": one.size,
                "finished_at": one.job.finished_at,
            }
            for one in picture.arrivals
        ],
        "notifications": {
            name: {"waiting": one.waiting, "dead": one.dead} for name, one in picture.undelivered.items()
        },
        "parked": [_trouble_as_json(job) for job in picture.parked],
        "failed": [_trouble_as_json(job) for job in picture.failures],
    }


def _lane_as_json(lane: "LaneView") -> dict[str, Any]:
    limits = lane.limits
    return {
        "lane": lane.id,
        "account": lane.account,
        "shard": lane.shard,
        "provider": lane.provider,
        "host": lane.host,
        "stands": lane.standing.value,
        "reason": lane.reason,
        "until": lane.until,
        "requests": {"used": lane.used, "most": limits.requests, "period_s": limits.period_s},
        "due": lane.due,
        "late_s": round(lane.late_s, 3),
        "live": lane.live,
    }


def _job_as_json(job: Job) -> dict[str, Any]:
    return {"job": job.id, "account": job.account, "operation": job.operation}


def _trouble_as_json(job: Job) -> dict[str, Any]:
    return {**_job_as_json(job), "state": job.state.value, "reason": job.reason, "finished_at": job.finished_at}
