"""Notifications: who wants to hear of a job's state, what is told, under which id, and when it is told again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from random import Random
from typing import Final

from app.domain.job import TERMINAL, Job, State
from app.domain.jsonvalue import Json
from app.domain.manifest import Artifact

NOTIFIABLE: Final = TERMINAL | {State.PARKED}
"""The states of which a receiver can be told: every end, and the one in which only a person goes on."""

MOST_LISTED: Final = 20
"""So many files stand in a body at most: the convention asks for small ones (20 kB), and an export may have thousands.
"""

RETRY_S: Final = (5.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 43_200.0, 86_400.0, 86_400.0)
"""The pauses after failed attempts, in seconds: ten attempts in a little less than three days."""

_LONGEST_PAUSE_S: Final = 86_400.0
_JITTER: Final = 0.1
_ID_DIGITS: Final = 32


class Status(StrEnum):
    """Where a notification stands."""

    WAITING = "waiting"
    """It is to be delivered, for the first time or again."""
    DELIVERED = "delivered"
    """The receiver has taken it."""
    DEAD = "dead"
    """It was given up; a person may have it tried again."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What the endpoint of that name wants to hear: jobs of these accounts (``None``: of all) in these states."""

    endpoint: str
    states: frozenset[State]
    accounts: frozenset[str] | None = None

    def wants(self, job: Job) -> bool:
        """Whether the endpoint is to hear that the job has reached its state."""
        return job.state in self.states and (self.accounts is None or job.account in self.accounts)


def message_id(job: Job) -> str:
    """What names the event that a job has reached its state at its version: the same for every endpoint and attempt.

    The time of the job's submission is in it, so that two databases, whose job numbers both begin at 1, tell apart.
    It holds no full stop, which would make the signed content ambiguous.
    """
    said = f"{job.account}/{job.id}/{job.version}/{job.created_at!r}"
    return f"msg_{hashlib.sha256(said.encode()).hexdigest()[:_ID_DIGITS]}"


def body_of(job: Job, at: float, artifacts: Sequence[Artifact], total: int) -> str:
    """The body of the notification that a job has reached its state; the same text goes out in every attempt.

    It names things as ``tidewaiter jobs show --json`` does. Parameters, the handle and links are left out: they may
    hold what opens somebody else's data.

    Args:
        job: as it stands.
        at: when it reached the state, in epoch seconds.
        artifacts: its first files, ``MOST_LISTED`` at most.
        total: how many files it has.
    """
    data: dict[str, Json] = {
        "id": job.id,
        "account": job.account,
        "operation": job.operation,
        "state": job.state.value,
        "reason": job.reason,
        "unique_key": job.unique_key,
        "retry_of": job.retry_of,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "artifacts": [_file(artifact) for artifact in artifacts],
        "artifacts_total": total,
    }
    return render(f"job.{job.state.value}", at, data)


def render(kind: str, at: float, data: dict[str, Json]) -> str:
    """A body as the convention recommends it: ``type``, ``timestamp`` (RFC 3339, of the event) and ``data``."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": moment, "data": data}, ensure_ascii=False, separators=(",", ":"))


def retry_in(attempts: int, rand: Random, asked_s: float | None = None) -> float | None:
    """Seconds until the next attempt, or ``None`` where there is none.

    Args:
        attempts: how many there were; the first counts.
        rand: spreads attempts, a tenth to either side.
        asked_s: what the receiver's Retry-After asks for. It can only put an attempt off, and by a day at most: who
            asks to be told again at once would use up all attempts within minutes.
    """
    if attempts > len(RETRY_S):
        return None
    pause_s = RETRY_S[max(attempts, 1) - 1] * (1.0 - _JITTER + 2.0 * _JITTER * rand.random())
    return pause_s if asked_s is None else max(pause_s, min(asked_s, _LONGEST_PAUSE_S))


def _file(artifact: Artifact) -> dict[str, Json]:
    return {name: getattr(artifact, name) for name in ("name", "key", "size", "sha256", "media_type")}
