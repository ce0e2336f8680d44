"""What a reply means where no rule of the spec speaks of it: the same for every provider.

Each function takes the status, the reason as a person will read it, and what Retry-After asked for in seconds.
"""

from typing import TypeAlias

from app.domain.outcome import Refused, Retry, Throttled, Unauthorized, Unknown

Trouble: TypeAlias = Retry | Throttled | Unauthorized | Refused

LOST_LINK = frozenset({403, 404, 410})
"""With these a file's host refuses a link that has expired."""

# Timeout, too early, too many requests; and a range or condition that no longer fits, so that the file is begun anew.
_NOT_NOW = frozenset({408, 412, 416, 425, 429})


def is_success(status: int) -> bool:
    """Whether a status is one of the 2xx."""
    return 200 <= status < 300


def unaccepted_submit(status: int, reason: str, wait_s: float | None) -> Throttled | Unauthorized | Refused | Unknown:
    """What a reply to a submit means that is no 2xx: a refusal only where the provider surely did not act.

    A 503 that says when to come back was made on purpose; one that does not may come from a proxy that had already
    passed the request on, and so may any other 5xx, and a 408.
    """
    if status == 429 or (status == 503 and wait_s is not None):
        return Throttled(reason, wait_s)
    if status in (401, 403):
        return Unauthorized(reason)
    if 400 <= status < 500 and status != 408:
        return Refused(reason)
    return Unknown(reason)


def provider_trouble(status: int, reason: str, wait_s: float | None) -> Trouble:
    """What a reply from the provider's own origin means that is no answer to a step that may be repeated."""
    if status in (429, 503):
        return Throttled(reason, wait_s)
    if status in (401, 403):
        return Unauthorized(reason)
    return host_trouble(status, reason, wait_s)


def host_trouble(status: int, reason: str, wait_s: float | None) -> Retry | Refused:
    """What a reply means that says nothing about the account, such as that of a file's host that gives no file."""
    if 400 <= status < 500 and status not in _NOT_NOW:
        return Refused(reason)
    return Retry(reason, wait_s)
