"""Problem documents (RFC 9457): the form of every error of the HTTP API, and the middleware that makes them."""

import http
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.log import EventLog
from tidewaiter.services import ConflictError, NotFoundError, RequestError

MEDIA_TYPE: Final = "application/problem+json"
_STORE_AGAIN_S: Final = 5.0
# Errors that aiohttp itself finds, in more words than it has.
_DETAILS: Final = {
    404: "there is nothing at this address",
    405: "this address does not take this method; Allow lists those that it takes",
}


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A fault of one field: a JSON pointer (RFC 6901) into the body, or a parameter's name, and the reason."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None

    def to_json(self) -> dict[str, str]:
        """The fault as a member of ``errors`` in a problem document."""
        named = {"pointer": self.pointer, "parameter": self.parameter}
        return {"detail": self.detail} | {name: text for name, text in named.items() if text is not None}


class ProblemError(Exception):
    """A request that is answered with a problem document.

    Args:
        status: the HTTP status.
        detail: one sentence for the caller.
        errors: faults of single fields.
        headers: of the response.
        retry_after_s: after how many seconds to try again.
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
            "title": phrase_of(self.status),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [error.to_json() for error in self.errors]
        return web.json_response(document, status=self.status, headers=self.headers, content_type=MEDIA_TYPE)


def problem_of(error: Exception) -> ProblemError | None:
    """The problem that an expected error is to the caller; ``None`` for an error of ours."""
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
            is_aiohttps_text = error.text in (None, f"{error.status}: {error.reason}")
            detail = _DETAILS.get(error.status, phrase_of(error.status)) if is_aiohttps_text else error.text
            return ProblemError(error.status, detail or "", headers=kept)
        case _:
            return None


ErrorPage: TypeAlias = Callable[[web.Request, ProblemError], web.Response | None]
"""Makes a page of a problem for a browser; ``None`` if a program asked."""


def error_middleware(log: EventLog, error_page: ErrorPage | None = None) -> Middleware:
    """The middleware that turns every error into a problem document, or into a page for a browser.

    Details of an internal error go to the log only.
    """

    @web.middleware
    async def handle_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            problem = problem_of(error)
        except Exception as error:  # noqa: BLE001  # nothing else stands before aiohttp's own bare 500
            problem = problem_of(error)
            if problem is None and not (isinstance(error, ConnectionError) and _is_disconnected(request)):
                log.emit(
                    "http.failed", method=request.method, path=request.path, reason=f"{type(error).__name__}: {error}"
                )
        problem = problem or ProblemError(500, "this is an internal error of Tidewaiter; see its log")
        page = error_page(request, problem) if error_page is not None else None
        return page or problem.response()

    return handle_errors


def _is_disconnected(request: web.Request) -> bool:
    """Whether the caller has gone; the transport is closing before it is taken away."""
    return request.transport is None or request.transport.is_closing()


def phrase_of(status: int) -> str:
    """The name of an HTTP status."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"
