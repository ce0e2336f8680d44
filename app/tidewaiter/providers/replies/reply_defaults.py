"""What replies mean: the defaults for every provider, the effects of rules, and the errors of object storages.

Each function takes the status or the reply, the reason for people, and the Retry-After in seconds.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from tidewaiter.domain.outcome import (
    Accepted,
    Duplicate,
    Empty,
    FailedForNow,
    Gone,
    Inline,
    LinksExpired,
    NotYet,
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
from tidewaiter.providers.replies.reply import Reading

T = TypeVar("T")

Trouble: TypeAlias = Retry | Throttled | Unauthorized | Refused
FileTrouble: TypeAlias = LinksExpired | NotYet | FailedForNow | Trouble

FILE_ENDS: Mapping[str, Callable[[str, float | None], FileTrouble]] = {
    "again": FailedForNow,
    "expired": lambda reason, _: LinksExpired(reason),
    "pending": NotYet,
    "retry": Retry,
    "refused": lambda reason, _: Refused(reason),
    "throttled": Throttled,
    "unauthorized": lambda reason, _: Unauthorized(reason),
}
"""The outcomes of the effects that a rule may name for a file or a page."""

LOST_LINK = frozenset({403, 404, 410})
"""The codes by which a file host refuses an expired link."""

BUSY = frozenset({429, 503})
"""The codes by which a server asks for a pause."""

_WITHOUT_FILE = frozenset({201, 204, 205, 207, 208, 226})

_UNREAD = frozenset({421, 423, 425})
"""The wrong server, locked, too early: the request was not processed, and may be sent again.

Sources: RFC 9110, section 15.5.20; RFC 4918, section 11.3; RFC 8470, section 5.2.
"""

# Also timeout and too many requests; and a range or condition that does not match any more, so the file starts again.
_NOT_NOW = _UNREAD | {408, 412, 416, 429}


def is_success(status: int) -> bool:
    """Whether a status is one of the 2xx."""
    return 200 <= status < 300


def missing_file(status: int, wait_s: float | None) -> NotYet | Retry | None:
    """The outcome of a 2xx without a file; ``None`` for a 2xx whose body is the file, or a part of it.

    202 means that the file is still being made. The others do not say that there will be a file, so the download
    failed: of 201, 207 and 208 the body describes resources, 204 and 205 have none, and the body of a 226 is a
    difference to be applied to something else. Source: RFC 9110, section 15.3; RFC 4918, RFC 5842, RFC 3229.
    """
    if status == 202:
        return NotYet("HTTP 202: the file is not there yet", wait_s)
    return Retry(f"HTTP {status}, and no file", wait_s) if status in _WITHOUT_FILE else None


def unaccepted_submit(
    status: int, reason: str, wait_s: float | None
) -> Throttled | Unauthorized | Refused | Unsent | Unknown:
    """The outcome of a submit whose reply is no 2xx: a refusal only if the provider certainly did not act.

    A 503 with Retry-After comes from the provider. A 503 without it, any other 5xx and a 408 may come from a proxy that
    had already passed the request on.
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
    """The outcome of an error reply from the provider's own origin, for a step that may be repeated."""
    if status in BUSY:
        return Throttled(reason, wait_s)
    if status in (401, 403):
        return Unauthorized(reason)
    return host_trouble(status, reason, wait_s)


def from_other_host(outcome: T, host: str | None) -> T | Retry:
    """The outcome of a step that may be repeated, if another host has replied, or has chosen the address.

    Such a host cannot pause the account, and does not know whether the remote job exists, or why it failed.

    Args:
        outcome: the outcome if the reply came from the provider itself.
        host: the host's origin; ``None`` if the provider replied at an address that another host chose.
    """
    if isinstance(outcome, Throttled):
        return Retry(outcome.reason, outcome.retry_after_s, host=host)
    return Retry(outcome.reason) if isinstance(outcome, Unauthorized | Gone | FailedForNow) else outcome


def provider_failure(status: int, outcome: object) -> str | None:
    """Why a reply counts as a failure of the provider, for the circuit breaker; ``None`` if it does not.

    An unreadable reply counts like a 5xx: during an outage many providers send a page of HTML with status 200.

    Args:
        status: the reply's.
        outcome: its outcome.
    """
    if status >= 500 and not isinstance(outcome, Refused | FailedForNow):
        return f"HTTP {status}"
    if isinstance(outcome, Unknown) or (isinstance(outcome, Retry) and outcome.unreadable):
        return outcome.reason
    return None


def host_trouble(status: int, reason: str, wait_s: float | None) -> Retry | Refused:
    """The outcome of an error reply that does not concern the account, such as that of a file host."""
    if 400 <= status < 500 and status not in _NOT_NOW:
        return Refused(reason)
    return Retry(reason, wait_s)


def file_trouble(
    status: int, reason: str, wait_s: float | None, *, own: bool, authenticated: bool, has_handle: bool
) -> LinksExpired | NotYet | Trouble:
    """The outcome of a reply in place of a file or a page of a list that is no 2xx.

    Only the provider's own origin can throttle or refuse the account. If a link does not work, a new one is requested,
    because it has usually expired. If the provider does not know it and there is no remote job, no new link can come.

    Args:
        status: the reply's.
        reason: for people.
        wait_s: the Retry-After in seconds.
        own: whether the reply came from the provider's origin.
        authenticated: whether the account's credentials were sent: if not, a 401 or 403 does not concern them.
        has_handle: whether there is a remote job.
    """
    lost = status in LOST_LINK and not (authenticated and status == 403)
    if lost and (has_handle or not own):
        return LinksExpired(reason)
    if own and (authenticated or status != 401):
        return provider_trouble(status, reason, wait_s)
    return host_trouble(status, reason, wait_s)


# --- the effects of rules ---------------------------------------------------------------------------------------------


Submitted: TypeAlias = (
    Accepted | Duplicate | Inline | Empty | Ready | FailedForNow | Throttled | Unauthorized | Refused | Unsent | Unknown
)
Polled: TypeAlias = (
    Pending | Ready | Inline | Empty | Gone | FailedForNow | Unmapped | Retry | Throttled | Unauthorized | Refused
)


SUBMIT_ENDS: Mapping[str, Callable[[str, float | None], Submitted]] = {
    "again": FailedForNow,
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
    "again": FailedForNow,
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


# --- object storages --------------------------------------------------------------------------------------------------


StorageTrouble: TypeAlias = LinksExpired | Retry

_LOOKED_AT = 4096
_CODE = re.compile(rb"<Code>\s{0,20}([A-Za-z.]{1,80})\s{0,20}</Code>")
_ERROR = re.compile(
    rb"(?:\xef\xbb\xbf)?\s{0,80}(?:<\?xml[^>]{0,200}\?>)?\s{0,80}<Error(?:\s[^>]{0,200})?>\s{0,80}<Code>"
)
_AZURE_CODE = "x-ms-error-code"
_OLD_LINK_WORDS = (b"Request has expired", b"Signature not valid in the specified time frame")
# The signature or its token is not valid any more: a new link works.
_OLD_LINK = frozenset({
    "AuthenticationFailed", "AuthorizationQueryParametersError", "ExpiredRequest", "ExpiredToken",
    "InvalidToken", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
})  # fmt: skip
_OF_THE_ACCOUNT = frozenset({"AuthenticationFailed", "InvalidToken"})
# With any status: S3 sends RequestTimeout with 400, and others send an error with 200.
_STORAGE_NOT_NOW = frozenset({
    "Busy", "InternalError", "OperationAborted", "OperationTimedOut", "RequestLimitExceeded", "RequestTimeout",
    "ServerBusy", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests",
})  # fmt: skip
_STATUS_DECIDES = frozenset({429, 503})


def storage_trouble(
    reading: Reading, reason: Callable[[], str], wait_s: float | None, *, own: bool
) -> StorageTrouble | None:
    """Why an object storage does not give a file; ``None`` if its reply is not recognized.

    Args:
        reading: the head of the reply, with the first bytes of its body.
        reason: makes a text for people, which takes longer than all the rest.
        wait_s: the Retry-After in seconds.
        own: whether the reply came from the provider's origin: there some codes concern the account.
    """
    code = _code_in(reading)
    if is_success(reading.status):
        return Retry(reason(), wait_s) if code in _STORAGE_NOT_NOW and _ERROR.match(reading.body) else None
    old = code in _OLD_LINK and not (own and code in _OF_THE_ACCOUNT)
    if old or any(words in reading.body[:_LOOKED_AT] for words in _OLD_LINK_WORDS):
        return LinksExpired(reason())
    if code in _STORAGE_NOT_NOW and not (own and reading.status in _STATUS_DECIDES):
        return Retry(reason(), wait_s)
    return None


def _code_in(reading: Reading) -> str:
    found = _CODE.search(reading.body[:_LOOKED_AT])
    return found[1].decode("ascii") if found is not None else (reading.headers.get(_AZURE_CODE) or "").strip()
