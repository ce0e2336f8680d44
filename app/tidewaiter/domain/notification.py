"""Webhooks: the content of a notification, the schedule of its delivery, and its signature."""

import binascii
import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import TERMINAL, Job, State
from tidewaiter.domain.job_view import JobView
from tidewaiter.domain.manifest import Artifact

NOTIFIABLE: Final = TERMINAL | {State.PARKED}
"""The states that can be notified: every end, and the one in which a person must decide."""

MOST_LISTED: Final = 20
"""The most files in a body: the convention asks for small bodies (20 kB), and an export may have thousands of files."""

RETRY_S: Final = (5.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 43_200.0, 86_400.0, 86_400.0)
"""The pauses after failed attempts, in seconds: ten attempts within three days."""

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
    """The jobs that an endpoint is notified about: of these accounts (``None``: of all) in these states."""

    endpoint: str
    states: frozenset[State]
    accounts: frozenset[str] | None = None

    def includes(self, job: Job) -> bool:
        """Whether the endpoint is notified that the job has reached its state."""
        return job.state in self.states and (self.accounts is None or job.account in self.accounts)


def message_id(job: Job) -> str:
    """The id of the event that a job has reached its state at its version: the same for every endpoint and attempt.

    It includes the time of the job's submission, so that jobs of two databases, which both count from 1, differ.
    It has no full stop, which would make the signed content ambiguous.
    """
    text = f"{job.account}/{job.id}/{job.version}/{job.created_at!r}"
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]}"


_OF_JOB: Final = (
    "id", "account", "operation", "state", "reason", "unique_key", "retry_of", "created_at", "finished_at",
)  # fmt: skip
_OF_ARTIFACT: Final = ("name", "key", "size", "sha256", "media_type")


def body_of(job: Job, at: float, artifacts: Sequence[Artifact], total: int) -> str:
    """The body of the notification for a job that has reached its state; every attempt sends the same text.

    Its members are some of the job's view, with times in epoch seconds. Parameters, the handle and links are left out,
    because they may give access to data.

    Args:
        job: the job.
        at: when it reached the state, in epoch seconds.
        artifacts: its first files, ``MOST_LISTED`` at most.
        total: how many files it has.
    """
    view = JobView.of(job)
    data: dict[str, Json] = {name: getattr(view, name) for name in _OF_JOB}
    data["artifacts"] = [{name: getattr(one, name) for name in _OF_ARTIFACT} for one in artifacts]
    data["artifacts_total"] = total
    return render_notification(f"job.{job.state.value}", at, data)


def render_notification(kind: str, at: float, data: dict[str, Json]) -> str:
    """A body as the convention recommends it: ``type``, ``timestamp`` (RFC 3339, of the event) and ``data``."""
    body = {"type": kind, "timestamp": rfc3339(at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


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


# --- signatures -------------------------------------------------------------------------------------------------------


SIGNING_KEY_PREFIX: Final = "whsec_"
_SHORTEST: Final = 24
_LONGEST: Final = 64


def keys_of(secret: str) -> tuple[bytes, ...]:
    """The keys in a text of one secret, or of several with spaces between them while a key is replaced.

    Raises:
        ValueError: one of them is not a key; the message does not repeat it.
    """
    keys = tuple(_key_of(one) for one in secret.split())
    if not keys:
        raise ValueError("is empty")
    return keys


def _key_of(secret: str) -> bytes:
    if not secret.startswith(SIGNING_KEY_PREFIX):
        raise ValueError(f"must begin with {SIGNING_KEY_PREFIX}, followed by 24 to 64 random bytes in base64")
    encoded = secret.removeprefix(SIGNING_KEY_PREFIX)
    try:
        # Some tools leave the padding out.
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be base64 after {SIGNING_KEY_PREFIX}, as `openssl rand -base64 32` writes it") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"has {len(key)} bytes after {SIGNING_KEY_PREFIX} and needs {_SHORTEST} to {_LONGEST}")
    return key


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers that prove a body, with a signature by each key.

    Args:
        keys: one, or the new and the old one.
        message_id: the same in every attempt; holds no full stop.
        timestamp: epoch seconds of this attempt.
        body: exactly what is sent.
    """
    content = b".".join((message_id.encode(), str(timestamp).encode(), body))
    proofs = (b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{proof}" for proof in proofs),
    }
