"""Problem documents (RFC 9457): what every error of the HTTP API looks like, and where none becomes a traceback."""

import http
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from app.desk import ConflictError, NotFoundError, RequestError
from app.log import EventLog
from app.store.engine import StoreUnavailableError

MEDIA_TYPE: Final = "application/problem+json"
_STORE_AGAIN_S: Final = 5.0
# What aiohttp finds by itself, in more words than its own.
_SAID: Final = {
    404: "there is nothing at this address",
    405: "this cannot be done with what is at this address; Allow names what can",
}


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with one field: a JSON pointer (RFC 6901) into the body, or a parameter's name; and why."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def to_json(self) -> dict[str, str]:
        """As it stands in ``errors`` of a problem document."""
        named = {"pointer": self.pointer, "parameter": self.parameter}
        return {"detail": self.detail} | {name: text for name, text in named.items() if text is not None}


class ProblemError(Exception):
    """A request that is answered with a problem document.

    Args:
        status: the HTTP status.
        detail: one sentence for whoever asked.
        errors: what is wrong with single fields.
        headers: of the answer.
        retry_after_s: when to come back, in seconds.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers: CIMultiDict[str] = CIMultiDict(headers or {})
        if retry_after_s is not None:
            self.headers[hdrs.RETRY_AFTER] = str(math.ceil(retry_after_s))

    def response(self) -> web.Response:
        """The problem document."""
        document: dict[str, object] = {
            "type": "about:blank",
            "title": _phrase(self.status),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [error.to_json() for error in self.errors]
        return web.json_response(document, status=self.status, headers=self.headers, content_type=MEDIA_TYPE)


def problem_of(error: Exception) -> ProblemError | None:
    """The problem that an error of a floor below is to a caller; ``None`` where it is a fault of ours."""
    match error:
        case ProblemError():
            return error
        case NotFoundError():
            return ProblemError(404, str(error))
        case ConflictError():
            return ProblemError(409, str(error))
        case RequestError():
            return ProblemError(422, str(error))
        case StoreUnavailableError():
            return ProblemError(503, str(error), retry_after_s=_STORE_AGAIN_S)
        case web.HTTPException():
            kept = {str(name): error.headers[name] for name in (hdrs.ALLOW,) if name in error.headers}
            by_itself = error.text in (None, f"{error.status}: {error.reason}")
            said = _SAID.get(error.status, _phrase(error.status)) if by_itself else error.text
            return ProblemError(error.status, said or "", headers=kept)
        case _:
            return None


ErrorPage: TypeAlias = Callable[[web.Request, ProblemError], web.Response | None]
"""Tells a person of a problem; ``None`` where a program asked."""


def middleware(log: EventLog, error_page: ErrorPage | None = None) -> Middleware:
    """Turns every error into a problem document, or a page of that where a person asked.

    One of ours is told in the log, and to the caller only that it was.
    """

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:  # a redirect is no problem
                raise
            problem = problem_of(error)
        except Exception as error:  # noqa: BLE001  # the last stop before aiohttp's own page, which would be a bare 500
            problem = problem_of(error)
            has_gone = isinstance(error, ConnectionError) and request.transport is None
            if problem is None and not has_gone:
                log.emit(
                    "http.failed", method=request.method, path=request.path, reason=f"{type(error).__name__}: {error}"
                )
        told = problem or ProblemError(500, "this is a fault of Tidewaiter; its log says more")
        page = error_page(request, told) if error_page is not None else None
        return page or told.response()

    return answered


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"
