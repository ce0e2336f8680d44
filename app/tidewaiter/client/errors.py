"""What a call of the API may raise: the problem documents (RFC 9457) as exceptions, and a few errors of the client."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from tidewaiter.web.api.body_schemas import JobShape


class ApiError(Exception):
    """The API answered with a problem.

    Attributes:
        type: of the problem; ``about:blank`` means that the status says it.
        status: the HTTP status.
        title: the name of the status.
        detail: one sentence about the cause.
        errors: the faults of single fields, each with ``detail``, and ``pointer`` or ``parameter``.
        retry_after_s: after how many seconds to try again, if the API says so.
        is_repeat: whether the request was sent before, and may have been done then although no reply came.
    """

    def __init__(self, status: int, document: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        self.type = str(document.get("type", "about:blank"))
        self.status = status
        self.title = str(document.get("title") or _phrase_of(status))
        self.detail = str(document.get("detail") or "the reply is no problem document of Tidewaiter")
        self.errors: list[dict[str, str]] = document.get("errors") or []
        self.retry_after_s = retry_after_s
        self.is_repeat = False
        fields = [f"{one.get('pointer', one.get('parameter'))}: {one.get('detail')}" for one in self.errors]
        super().__init__("; ".join([f"{status} {self.title}: {self.detail}", *fields]))


class UnexpectedReplyError(ApiError):
    """The reply is not what this version of the client understands: no JSON, or JSON of another shape.

    What answers is not Tidewaiter, or a version that does not fit.
    """

    def __init__(self, status: int, fault: str) -> None:
        super().__init__(status, {"detail": f"the reply {fault}"})


class InvalidRequestError(ApiError):
    """400 or 422: the request has a fault, and would be refused again."""


class AccessError(ApiError):
    """401 or 403: a token is needed, or this one does not permit the request."""


class NotFoundError(ApiError):
    """404 or 410: it does not exist, or does not exist any more."""


class ConflictError(ApiError):
    """409: not possible in the present state."""


class UnavailableError(ApiError):
    """429, 502, 503 or 504: try again later."""


class ChecksumError(Exception):
    """The content that came is not the file that landed."""


class WebhookError(ValueError):
    """A message was not signed with this secret, or is too old."""


class JobNotSucceededError(Exception):
    """A job has ended without its files, or waits for a person; ``job`` is the job."""

    def __init__(self, job: JobShape) -> None:
        super().__init__(f"job {job.id} is {job.state}: {job.reason or 'no reason is known'}")
        self.job = job


_CLASSES: Final[Mapping[int, type[ApiError]]] = {
    400: InvalidRequestError,
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    422: InvalidRequestError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """The exception for a reply that is not the expected one."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    after = headers.get("Retry-After", "")
    retry_after_s = float(after) if after.isascii() and after.isdigit() else None
    made = _CLASSES.get(status, ApiError)
    return made(status, document if isinstance(document, dict) else {}, retry_after_s)


def _phrase_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
