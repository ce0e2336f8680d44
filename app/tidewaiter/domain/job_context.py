"""Who asked for a job, and what it belongs to: schedule, batch, labels, the caller's trace.

The context is given with the request, is stored with the job, and never changes. No decision of the state machine
depends on it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job belongs to.

    ``requested_by`` is the name of the token or of the system's user that asked for it. ``schedule`` is the schedule
    that it is a run of, and ``scheduled_for`` the tick (epoch seconds); a run by hand has no tick. ``batch`` is the
    batch of jobs that it is part of. ``labels`` are the caller's own names and values. ``traceparent`` is the caller's
    trace. Source: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header.
    """

    requested_by: str | None = None
    schedule: str | None = None
    scheduled_for: float | None = None
    batch: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)
    traceparent: str | None = None

    def as_text(self) -> str:
        """The context as JSON, without what is not set."""
        return json.dumps(
            {
                name: dict(value) if name == "labels" else value
                for name in _NAMES
                if (value := getattr(self, name)) not in (None, {})
            }
        )


_NAMES: Final = JobContext.__slots__
NO_CONTEXT: Final = JobContext()
"""Of jobs that an earlier version stored, and of those that nothing is known about."""


@lru_cache(maxsize=2048)
def context_of(text: str) -> JobContext:
    """The context of a text of :meth:`JobContext.as_text`. Many jobs have the same one, so it is kept."""
    members: dict[str, Any] = json.loads(text)
    if labels := members.get("labels"):
        members["labels"] = MappingProxyType(labels)
    return JobContext(**members)
