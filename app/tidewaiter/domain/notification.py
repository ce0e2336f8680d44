"""Notifications: what they say, and when their delivery is tried again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from tidewaiter.domain.batch import EndedBatch, by_state
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.job_json import job_json
from tidewaiter.domain.manifest import Artifact

NOTIFIABLE: Final = TERMINAL | {State.PARKED}
"""The states that can be notified: every end, and the one in which a person must decide."""

MOST_LISTED: Final = 20
"""The most files in a body: the convention asks for small bodies (20 kB), and an export may have thousands of files."""

RETRY_S: Final = (5.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 43_200.0, 86_400.0, 86_400.0)
"""The pauses after failed attempts, in seconds: ten attempts within three days."""

CLAIM_S: Final = 60.0
"""How long the claim of a delivery lasts, in seconds: much longer than a delivery. A claim is a due time, too."""

_LONGEST_PAUSE_S: Final = 86_400.0
_JITTER: Final = 0.1
_ID_DIGITS: Final = 32


class DeliveryStatus(StrEnum):
    """The state of a notification's delivery."""

    WAITING = "waiting"
    """It will be delivered, for the first time or again."""
    DELIVERED = "delivered"
    """The receiver has accepted it."""
    DEAD = "dead"
    """No more attempts are made; a person can start new ones."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """The jobs that an endpoint is notified about: of these accounts (``None``: of all) in these states.

    ``batches``: it is also notified when a batch with jobs of these accounts has ended.
    """

    endpoint: str
    states: frozenset[State]
    accounts: frozenset[str] | None = None
    batches: bool = True

    def includes(self, job: Job) -> bool:
        """Whether the endpoint is notified that the job has reached its state."""
        return job.state in self.states and (self.accounts is None or job.account in self.accounts)

    def includes_batch(self, ended: EndedBatch) -> bool:
        """Whether the endpoint is notified that the batch has ended."""
        accounts = {account for account, _ in ended.batch.counts} or {ended.account}
        return self.batches and (self.accounts is None or bool(accounts & self.accounts))


def message_id(job: Job) -> str:
    """The id of the event that a job has reached its state at its version: the same for every endpoint and attempt.

    It includes the time of the job's submission, so that jobs of two databases, which both count from 1, differ.
    It has no full stop, which would make the signed content ambiguous.
    """
    text = f"{job.account}/{job.id}/{job.version}/{job.created_at!r}"
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]}"


_OF_JOB: Final = (
    "id", "account", "operation", "state", "reason", "unique_key", "retry_of", "created_at", "finished_at",
    "traceparent", "labels",
)  # fmt: skip
_OF_ARTIFACT: Final = ("name", "key", "size", "sha256", "media_type")


def body_of(job: Job, at: float, artifacts: Sequence[Artifact], total: int) -> str:
    """The body of the notification for a job that has reached its state; every attempt sends the same text.

    Its members are some of the job's JSON in the API. Parameters, the handle and links are left out, because they may
    give access to data.

    Args:
        job: the job.
        at: when it reached the state, in epoch seconds.
        artifacts: its first files, ``MOST_LISTED`` at most.
        total: how many files it has.
    """
    shown = job_json(job)
    data: dict[str, Json] = {name: shown[name] for name in _OF_JOB}
    data["artifacts"] = [{name: getattr(one, name) for name in _OF_ARTIFACT} for one in artifacts]
    data["artifacts_total"] = total
    return render_notification(f"job.{job.state.value}", at, data)


def batch_body_of(ended: EndedBatch, accounts: frozenset[str] | None) -> str:
    """The body of the notification for a batch whose last job has ended; it counts jobs of these accounts only.

    Its members are some of the batch's JSON in the API.
    """
    one = ended.batch
    states = by_state(one.counts, accounts)
    data: dict[str, Json] = {
        "name": one.name,
        "created_at": rfc3339(one.created_at),
        "ended_at": rfc3339(ended.ended_at),
        "jobs": sum(states.values()),
        "states": {state.value: number for state, number in states.items()},
    }
    return render_notification("batch.ended", ended.ended_at, data)


def render_notification(kind: str, at: float, data: dict[str, Json]) -> str:
    """A body as the convention recommends it: ``type``, ``timestamp`` (RFC 3339, of the event) and ``data``."""
    body = {"type": kind, "timestamp": rfc3339(at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def longest_wait_s(attempts: int) -> float:
    """The longest time from an attempt to the next one, if no receiver has asked for more, with the attempt itself."""
    return RETRY_S[attempts - 1] * (1.0 + _JITTER) + CLAIM_S


def usual_at_s(attempts: int) -> float:
    """How long after its event a notification has had so many attempts, if none of them came early.

    That is the shortest time, less the length of a claim, so that clocks may differ by that.
    """
    return max(0.0, sum(RETRY_S[: attempts - 1]) * (1.0 - _JITTER) - CLAIM_S)


def delivery_retry_in(attempts: int, rand: Random, asked_s: float | None = None) -> float | None:
    """Seconds until the next attempt; ``None`` if there is no more attempt.

    Args:
        attempts: the number of attempts so far, with the first.
        rand: varies each pause by up to a tenth.
        asked_s: the receiver's Retry-After. It can only delay an attempt, by a day at most: otherwise a receiver that
            asks for an immediate retry would use up all attempts within minutes.
    """
    if attempts > len(RETRY_S):
        return None
    pause_s = RETRY_S[max(attempts, 1) - 1] * (1.0 - _JITTER + 2.0 * _JITTER * rand.random())
    return pause_s if asked_s is None else max(pause_s, min(asked_s, _LONGEST_PAUSE_S))
