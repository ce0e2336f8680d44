"""What a reply means where no rule of the spec matches it: the same for every provider.

Each function takes the status, the reason as a person will read it, and what Retry-After asked for in seconds.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from app.domain.outcome import Gone, LinksExpired, NotYet, Refused, Retry, Throttled, Unauthorized, Unknown, Unsent

T = TypeVar("T")

Trouble: TypeAlias = Retry | Throttled | Unauthorized | Refused
FileTrouble: TypeAlias = LinksExpired | NotYet | Trouble

FILE_ENDS: Mapping[str, Callable[[str, float | None], FileTrouble]] = {
    "expired": lambda reason, _: LinksExpired(reason),
    "pending": NotYet,
    "retry": Retry,
    "refused": lambda reason, _: Refused(reason),
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
}
"""The outcomes of the effects that a rule may name for a file or a page."""

LOST_LINK = frozenset({403, 404, 410})
"""With these a file's host refuses a link that has expired."""

BUSY = frozenset({429, 503})
"""With these a server asks for a pause."""

_WITHOUT_FILE = frozenset({201, 204, 205, 207, 208, 226})

_UNREAD = frozenset({421, 423, 425})
"""The wrong server, locked, too early: the request was not acted upon, and another time it will be.

Sources: RFC 9110, section 15.5.20; RFC 4918, section 11.3; RFC 8470, section 5.2.
"""

# Timeout and too many requests as well; and a range or condition that no longer fits, so that the file is begun anew.
_NOT_NOW = _UNREAD | {408, 412, 416, 429}


def is_success(status: int) -> bool:
    """Whether a status is one of the 2xx."""
    return 200 <= status < 300


def missing_file(status: int, wait_s: float | None) -> NotYet | Retry | None:
    """What a 2xx means that brings no file; ``None`` for one whose body is the file, or a part of it.

    A file that is still being made (202) is waited for. No other says that there ever will be one, so it counts as a
    download that failed: of 201, 207 and 208 the body describes resources, 204 and 205 have none, and the body of a
    226 is a difference to be applied to something else. Source: RFC 9110, section 15.3; RFC 4918, RFC 5842, RFC 3229.
    """
    if status == 202:
        return NotYet("HTTP 202: the file is not there yet", wait_s)
    return Retry(f"HTTP {status}, and no file", wait_s) if status in _WITHOUT_FILE else None


def unaccepted_submit(
    status: int, reason: str, wait_s: float | None
) -> Throttled | Unauthorized | Refused | Unsent | Unknown:
    """What a reply to a submit means that is no 2xx: a refusal only where the provider surely did not act.

    A 503 that says when to come back was made on purpose; one that does not may come from a proxy that had already
    passed the request on, and so may any other 5xx, and a 408.
    """
    if status == 429 or (status == 503 and wait_s is not None):
        return Throttled(reason, wait_s)
    if status in (401, 403):
        return Unauthorized(reason)
    if status in _UNREAD:
        return Unsent(reason)
    if 400 <= status < 500 and status != 408:
        return Refused(reason)
    return Unknown(reason)


def provider_trouble(status: int, reason: str, wait_s: float | None) -> Trouble:
    """What a reply from the provider's own origin means that is no answer to a step that may be repeated."""
    if status in BUSY:
        return Throttled(reason, wait_s)
    if status in (401, 403):
        return Unauthorized(reason)
    return host_trouble(status, reason, wait_s)


def as_said_by_host(outcome: T, host: str | None) -> T | Retry:
    """An outcome of a step that may be repeated, as it is where another host has replied, or has chosen who does.

    Such a host cannot close or pause the account, and does not know whether the remote job is there.

    Args:
        outcome: what the reply would mean if it came from the provider itself.
        host: the host's origin; ``None`` where the provider itself replied at an address that another host chose.
    """
    if isinstance(outcome, Throttled):
        return Retry(outcome.reason, outcome.retry_after_s, host=host)
    return Retry(outcome.reason) if isinstance(outcome, Unauthorized | Gone) else outcome


def provider_failure(status: int, outcome: object) -> str | None:
    """Why a reply counts as a failure of the provider itself, for the circuit breaker; ``None`` where it does not.

    A reply that makes no sense counts as a 5xx does: a page of HTML with status 200 is what many an outage looks like.

    Args:
        status: the reply's.
        outcome: what it was read as.
    """
    if status >= 500 and not isinstance(outcome, Refused):
        return f"HTTP {status}"
    if isinstance(outcome, Unknown) or (isinstance(outcome, Retry) and outcome.unreadable):
        return outcome.reason
    return None


def host_trouble(status: int, reason: str, wait_s: float | None) -> Retry | Refused:
    """What a reply means that says nothing about the account, such as that of a file's host that gives no file."""
    if 400 <= status < 500 and status not in _NOT_NOW:
        return Refused(reason)
    return Retry(reason, wait_s)


def file_trouble(
    status: int, reason: str, wait_s: float | None, *, own: bool, proved: bool, named: bool
) -> FileTrouble:
    """What a reply means that should have been a file or a page of a list, and is no 2xx.

    Only the provider's own origin can throttle or refuse the account. A link that is not served is asked for again,
    because most often it has expired; where the provider itself does not know it and there is no remote job, it never
    will.

    Args:
        status: the reply's.
        reason: as a person will read it.
        wait_s: what Retry-After asked for, in seconds.
        own: whether the reply came from the provider's origin.
        proved: whether the account's credentials were sent: else a 401 or 403 does not concern them.
        named: whether there is a remote job.
    """
    lost = status in LOST_LINK and not (proved and status == 403)
    if lost and (named or not own):
        return LinksExpired(reason)
    if own and (proved or status != 401):
        return provider_trouble(status, reason, wait_s)
    return host_trouble(status, reason, wait_s)
