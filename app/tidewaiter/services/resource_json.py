"""The JSON of accounts, schedules, providers, notifications, the overview and trends, for the API and the command line.

The JSON of jobs is in :mod:`tidewaiter.domain.job_json`, because webhooks use it, too.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tidewaiter.database.dashboard_store import Arrival, DashboardSnapshot, Minute
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.database.notification_store import Notification
from tidewaiter.domain.backfill import Backfill, BackfillState
from tidewaiter.domain.batch import Batch
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.job import State
from tidewaiter.domain.trends import OperationTrend, Trend, TrendPeriod, TrendStep
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.steps.parameters import parameter_schema
from tidewaiter.services.account_service import AccountStatus, Resumed
from tidewaiter.services.backfill_service import BackfillPreview
from tidewaiter.services.failure_groups import failure_groups, group_json
from tidewaiter.services.schedule_service import ScheduleStatus


def account_json(status: AccountStatus) -> dict[str, Any]:
    """An account: its pause, its closed lanes and its live jobs."""
    pause = status.pause
    return {
        "account": status.account,
        "provider": status.provider,
        "pause": None if pause is None else {"by": pause.by, "reason": pause.reason, "at": rfc3339(pause.at)},
        "closed": [closed_json(lane) for lane in status.closed],
        "jobs": {state.value: number for state, number in status.jobs.items()},
        "refresh_token_at": None if status.refresh_token is None else rfc3339(status.refresh_token.stored_at),
        "fault": status.fault,
    }


def orphan_json(account: str, jobs: Mapping[State, int]) -> dict[str, Any]:
    """An account that is no longer configured, but has live jobs."""
    counts = {state.value: number for state, number in jobs.items()}
    rest = {"fault": None, "refresh_token_at": None}
    return {"account": account, "provider": None, "pause": None, "closed": [], "jobs": counts, **rest}


def closed_json(lane: LaneStatus) -> dict[str, Any]:
    """A lane that sends nothing for a while; only a throttled one knows until when."""
    return {
        "lane": lane.id,
        "shard": lane.shard,
        "reason": lane.closed_reason,
        "until": rfc3339(lane.closed_until or None),
    }


def resumed_json(resumed: Resumed) -> dict[str, Any]:
    """An account after its pause has ended."""
    opened = [closed_json(lane) for lane in resumed.opened]
    more = {"paused_s": resumed.paused_s, "opened": opened, "tries_refresh_token": resumed.tries_token}
    return {**account_json(resumed.status), **more}


def schedule_json(status: ScheduleStatus) -> dict[str, Any]:
    """A schedule, its last tick, its next, and its pause."""
    one, pause = status.schedule, status.pause
    return {
        "name": one.name,
        "account": one.account,
        "operation": one.operation,
        "cron": one.cron,
        "timezone": str(one.zone),
        "catch_up": one.catch_up.value,
        "params": dict(one.params),
        "next_at": rfc3339(status.next_at),
        "ticked_at": rfc3339(status.ticked_at),
        "job": status.job,
        "pause": None if pause is None else {"by": pause.by, "reason": pause.reason, "at": rfc3339(pause.at)},
    }


def notification_json(one: Notification) -> dict[str, Any]:
    """A notification and the status of its delivery."""
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "message_id": one.message_id,
        "job": one.job_id or None,
        "account": one.account,
        "state": one.state,
        "at": rfc3339(one.at),
        "status": one.status,
        "due_at": rfc3339(one.due_at),
        "attempts": one.attempts,
        "attempted_at": rfc3339(one.attempted_at),
        "last_error": one.last_error,
        "ended_at": rfc3339(one.ended_at),
        "batch": one.batch,
    }


def backfill_json(one: Backfill, now: float) -> dict[str, Any]:
    """A backfill, how far it is, and when it is expected to end."""
    span, is_paused = one.plan.span, one.state is BackfillState.PAUSED
    pause = {"by": one.paused_by, "reason": one.paused_reason, "at": rfc3339(one.paused_at)}
    return {
        "name": one.name,
        "account": one.account,
        "operation": one.operation,
        "params": dict(one.params),
        "from": span.first,
        "to": span.last,
        "window": span.window,
        "timezone": span.zone,
        "newest_first": one.plan.newest_first,
        "at_once": one.plan.at_once,
        "reuse": one.plan.reuse,
        "labels": dict(one.plan.labels),
        "state": one.state.value,
        "windows": one.windows,
        "submitted": one.next_window,
        "reused": one.reused,
        "done": one.done,
        "open": one.batch.open,
        "states": {state.value: number for state, number in one.batch.states.items()},
        "pause": pause if is_paused else None,
        "created_at": rfc3339(one.batch.created_at),
        "created_by": one.batch.created_by,
        "expected_end_at": rfc3339(one.expected_end(now)),
        "ended_at": rfc3339(one.batch.ended_at),
    }


def backfill_preview_json(one: BackfillPreview) -> dict[str, Any]:
    """What a backfill would do."""
    return {"windows": one.windows, "first": one.first.params, "last": one.last.params, "reused": one.reused}


def batch_json(one: Batch) -> dict[str, Any]:
    """A batch with the counts of its jobs."""
    return {
        "name": one.name,
        "created_at": rfc3339(one.created_at),
        "created_by": one.created_by,
        "jobs": one.jobs,
        "open": one.open,
        "complete": one.complete,
        "ended_at": rfc3339(one.ended_at),
        "states": {state.value: number for state, number in one.states.items()},
    }


def provider_line_json(provider: Provider, accounts: Iterable[str]) -> dict[str, Any]:
    """A provider in short; ``accounts`` are those that are configured on it."""
    return {
        "name": provider.name,
        "title": provider.title,
        "verified": provider.spec.verified,
        "operations": list(provider.operations),
        "accounts": sorted(accounts),
        "location": f"/v1/providers/{provider.name}",
    }


def provider_json(provider: Provider) -> dict[str, Any]:
    """A provider with its operations; ``parameters`` is the JSON Schema of an operation's parameters."""
    return {
        "name": provider.name,
        "title": provider.title,
        "documentation": [str(address) for address in provider.spec.documentation],
        "verified": provider.spec.verified,
        "operations": {
            name: {"title": one.title, "parameters": parameter_schema(one)}
            for name, one in provider.spec.operations.items()
        },
    }


def overview_json(snapshot: DashboardSnapshot, storage_trouble: str | None = None) -> dict[str, Any]:
    """The state of everything; ``storage_trouble`` is why downloads wait for the storage, if they do."""
    return {
        "at": rfc3339(snapshot.at),
        "jobs": {state.value: number for state, number in snapshot.counts.items()},
        "lanes": [
            {"lane": one.lane, "due": one.due, "oldest_due_at": rfc3339(one.oldest_due_at)}
            for one in snapshot.backlogs.values()
        ],
        "minutes": [_minute(one) for one in snapshot.minutes],
        "landed": [_arrival(one) for one in snapshot.arrivals],
        "unhandled": [
            group_json(one)
            for one in failure_groups(
                snapshot.unhandled, snapshot.pauses, snapshot.lanes, storage_trouble=storage_trouble
            )
        ],
    }


def _minute(minute: Minute) -> dict[str, Any]:
    return {
        "at": rfc3339(minute.at),
        "ended": {state.value: number for state, number in minute.ended.items()},
        "landing_p50_s": minute.delay_s(0.5),
        "landing_p95_s": minute.delay_s(0.95),
    }


def _arrival(arrival: Arrival) -> dict[str, Any]:
    job = arrival.job
    return {
        "job": job.id,
        "account": job.account,
        "operation": job.operation,
        "finished_at": rfc3339(job.finished_at),
        "files": arrival.files,
        "name": arrival.name,
        "size": arrival.size,
    }


def trends_json(
    step: TrendStep, periods: Iterable[TrendPeriod], operations: Iterable[OperationTrend]
) -> dict[str, Any]:
    """What ended in each period, and of each operation in all of them."""
    return {
        "step": step.value,
        "periods": [{"at": rfc3339(one.at), **_sums(one.sums)} for one in periods],
        "operations": [{"account": one.account, "operation": one.operation, **_sums(one.sums)} for one in operations],
    }


def _sums(sums: Trend) -> dict[str, Any]:
    return {
        "landed": sums.landed,
        "failed": sums.failed,
        "expired": sums.expired,
        "cancelled": sums.cancelled,
        "files": sums.files,
        "bytes": sums.bytes,
        "duration_p50_s": _rounded(sums.duration.quantile_s(0.5)),
        "duration_p95_s": _rounded(sums.duration.quantile_s(0.95)),
        "delay_p50_s": _rounded(sums.delay.quantile_s(0.5)),
        "delay_p95_s": _rounded(sums.delay.quantile_s(0.95)),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
