"""What the effects that a spec's rules name mean as outcomes, step by step; those of files stand in `defaults`.

Each function takes the reason as a person will read it, and what Retry-After asked for in seconds.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from app.domain.outcome import (
    Accepted,
    Duplicate,
    Empty,
    Gone,
    Inline,
    Pending,
    Ready,
    Refused,
    Retry,
    Throttled,
    Unauthorized,
    Unknown,
    Unmapped,
    Unsent,
)
from app.providers.defaults import Trouble

Submitted: TypeAlias = (
    Accepted | Duplicate | Inline | Empty | Ready | Throttled | Unauthorized | Refused | Unsent | Unknown
)
Polled: TypeAlias = Pending | Ready | Inline | Empty | Gone | Unmapped | Retry | Throttled | Unauthorized | Refused


SUBMIT_ENDS: Mapping[str, Callable[[str, float | None], Submitted]] = {
    "refused": lambda reason, _: Refused(reason),
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
    "unsent": lambda reason, _: Unsent(reason),
    "unknown": lambda reason, _: Unknown(reason),
}
"""Of a submit."""

POLL_ENDS: Mapping[str, Callable[[str, float | None], Polled]] = {
    "failed": lambda reason, _: Refused(reason),
    "cancelled": lambda reason, _: Refused(reason),
    "gone": lambda reason, _: Gone(reason),
    "retry": Retry,
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
}
"""Of a poll."""

ENDING_ENDS: Mapping[str | None, Callable[[str, float | None], Trouble]] = {
    "refused": lambda reason, _: Refused(reason),
    "retry": Retry,
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
}
"""Of a request that deletes or cancels the remote job."""
