"""Reads and checks what a caller sent: JSON bodies, query parameters and numbers in paths; reports faults by field."""

import asyncio
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NoReturn, TypeVar

from aiohttp import hdrs, web
from pydantic import ValidationError

from tidewaiter.database.job_list import LARGEST_ID
from tidewaiter.domain.http_values import Json
from tidewaiter.services import JobRequest, JobRequestFault, RefusedError
from tidewaiter.web.api.body_schemas import GivenReason, Incoming
from tidewaiter.web.callers import REASON
from tidewaiter.web.problems import FieldFault, ProblemError
from tidewaiter.web.request_reading import number_of, read_bytes

MOST_FAULTS: Final = 100
LARGEST_NUMBER: Final = LARGEST_ID
LARGEST_BODY: Final = 1_048_576
_DEEPEST: Final = 64
_MOST_MEMBERS: Final = 500_000
LARGE: Final = 65_536
"""A body of more bytes is parsed in a thread."""
LONGEST_VALUE: Final = 255
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_MEDIA_TYPE: Final = re.compile(r"application/(json|[a-z0-9.!#$&^_-]+\+json)", re.IGNORECASE)
Shape = TypeVar("Shape", bound=Incoming)
_PYDANTIC_MESSAGES: Final = {
    "Field required": "is missing",
    "Extra inputs are not permitted": "is unknown",
    "Input should be a valid string": "must be a string",
    "Input should be a valid dictionary": "must be an object",
    "Input should be a valid list": "must be an array",
}


async def read_body(request: web.Request, shape: type[Shape], largest: int = LARGEST_BODY) -> Shape:
    """The JSON body of a request, checked against a shape.

    Args:
        request: the request.
        shape: what the body must be. If every member has a default, an empty body counts as an empty object.
        largest: the size limit in bytes.

    Raises:
        ProblemError: 408, 413, 415, 400 for invalid JSON, 422 for a body of another shape.
    """
    if request.can_read_body:
        _check_media_type(request)
    raw = await read_bytes(request, largest)
    if not raw.strip() and not any(field.is_required() for field in shape.model_fields.values()):
        return shape()
    return check_shape(await asyncio.to_thread(parse_json, raw) if len(raw) > LARGE else parse_json(raw), shape)


async def read_reason(request: web.Request, shape: type[GivenReason]) -> str | None:
    """The reason in the body of a request that pauses something, which the audit gets, too; raises as above."""
    body = await read_body(request, shape)
    request[REASON] = body.reason or ""
    return body.reason


def check_shape(document: Json, shape: type[Shape], *where: str | int) -> Shape:
    """A document, checked against a shape; ``where`` is its path in the body, for the pointers of faults.

    Raises:
        ProblemError: 422 for a document of another shape.
    """
    if isinstance(document, dict) and len(document) > len(shape.model_fields) + MOST_FAULTS:
        unknown = islice((name for name in document if name not in shape.model_fields), MOST_FAULTS)
        raise body_problem([FieldFault("is unknown", pointer_of([*where, name])) for name in unknown])
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise body_problem(
            [FieldFault(_reason_of(one["type"], one["msg"]), pointer_of([*where, *one["loc"]])) for one in found]
        ) from None


def body_problem(faults: Sequence[FieldFault]) -> ProblemError:
    """The problem of a body that is JSON but has faults; at most :data:`MOST_FAULTS` are reported."""
    number = len(faults)
    detail = "the body has a fault" if number == 1 else f"the body has {number} faults"
    if number >= MOST_FAULTS:
        detail = f"the body has at least {MOST_FAULTS} faults, which are listed"
    return ProblemError(422, detail, errors=faults[:MOST_FAULTS])


def pointer_of(path: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def parse_json(raw: bytes) -> Json:
    """Parses strict JSON (RFC 8259): no NaN, no duplicate names, no text that a database cannot store.

    Raises:
        ProblemError: 413 for too many values, 400 otherwise.
    """
    if raw.count(b",") + raw.count(b"{") + raw.count(b"[") > _MOST_MEMBERS:
        raise ProblemError(413, f"the body has more than {_MOST_MEMBERS} values; send it in several requests")
    try:
        document: Json = json.loads(
            raw.decode(), object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise ProblemError(400, f"the body is not UTF-8: byte {error.start} cannot be read") from None
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]}"
        raise ProblemError(
            400, f"the body is not JSON: {reason} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # Python refuses numbers of thousands of digits
        raise ProblemError(400, "the body is not JSON that can be read: a number has too many digits") from None
    _check_values(document)
    return document


def read_query(request: web.Request, known: Mapping[str, bool]) -> dict[str, list[str]]:
    """The parameters of the query.

    Args:
        request: the request.
        known: the known names, and whether each may be given several times.

    Raises:
        ProblemError: 400 with all faults.
    """
    found: dict[str, list[str]] = {}
    faults: list[FieldFault] = []
    for name, value in request.query.items():
        if name not in known:
            names = ", ".join(known) or "none"
            faults.append(FieldFault(f"unknown parameter (known: {names})", parameter=_shown(name)))
        elif name in found and not known[name]:
            faults.append(FieldFault("is given more than once", parameter=name))
        elif _UNSTORABLE.search(value) or len(value) > LONGEST_VALUE or not value:
            reason = f"must be text of 1 to {LONGEST_VALUE} characters, without NUL"
            faults.append(FieldFault(reason, parameter=name))
        else:
            found.setdefault(name, []).append(value)
    refuse_query(faults)
    return found


def refuse_query(faults: Sequence[FieldFault]) -> None:
    """Raises the problem of a query if it has faults."""
    if faults:
        raise ProblemError(400, "the query cannot be used", errors=faults[:MOST_FAULTS])


def number_in(query: Mapping[str, Sequence[str]], name: str, faults: list[FieldFault]) -> int | None:
    """The job number in a query parameter; an invalid one is added to ``faults``."""
    if name not in query:
        return None
    number = number_of(query[name][0])
    if number is not None:
        return number
    faults.append(FieldFault(f"must be a whole number from 1 to {LARGEST_NUMBER}", parameter=name))
    return None


def job_number(request: web.Request, what: str = "job") -> int:
    """The number in the path: of a job, or of another resource.

    Raises:
        ProblemError: 404 for an invalid number.
    """
    return _number(request.match_info["id"], what)


def artifact_number(request: web.Request) -> int:
    """The number of an artifact in the path.

    Raises:
        ProblemError: 404 for an invalid number.
    """
    return _number(request.match_info["number"], "artifact")


def moment_of(text: str) -> float | None:
    """The epoch seconds of a time with its offset (RFC 3339); ``None`` if the text is no such time."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(text: str, what: str) -> int:
    number = number_of(text, least=0)
    if number is None:
        raise ProblemError(404, f"there is no {what} {_shown(text)!r}; {what}s have numbers")
    return number


def _shown(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text[:100])


def _check_media_type(request: web.Request) -> None:
    if not _MEDIA_TYPE.fullmatch(request.content_type) or hdrs.CONTENT_ENCODING in request.headers:
        raise ProblemError(
            415, "the body must be JSON: Content-Type: application/json", headers={hdrs.ACCEPT: "application/json"}
        )


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise ProblemError(400, f"an object in the body has a name twice: {_shown(name)!r}")
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ProblemError(400, f"the body is not JSON: {name} is no number there")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ProblemError(400, "the body has a number that is too large to be kept")
    return number


def _too_deep() -> ProblemError:
    return ProblemError(400, f"the body is nested more than {_DEEPEST} levels deep")


def _check_values(document: Json) -> None:
    """Check the depth and the texts of all values, without recursion."""
    level: list[Any] = [document]
    for _ in range(_DEEPEST + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                for name in value:
                    _check_text(name)
                below += value.values()
            elif isinstance(value, list):
                below += value
        if not below:
            return
        level = below
    raise _too_deep()


def _check_text(text: str) -> None:
    if _UNSTORABLE.search(text):
        raise ProblemError(400, "the body has a text with NUL or with half of a surrogate pair, which cannot be stored")


def _reason_of(kind: str, message: str) -> str:
    """A fault that pydantic found, as the rest of a sentence that begins with the field."""
    if kind == "model_type":  # the message would name a class of this program
        return "must be an object"
    plain = message.removeprefix("Value error, ")
    return _PYDANTIC_MESSAGES.get(plain) or f"{plain[:1].lower()}{plain[1:]}"


def refusal_of(faults: Sequence[JobRequestFault], job_requests: Sequence[JobRequest], *, many: bool) -> ProblemError:
    """The problem of refused job requests; ``many`` says that the body has them in an array ``jobs``."""
    return body_problem([_field_fault(one, job_requests[one.place], many=many) for one in faults[:MOST_FAULTS]])


def refusal_of_one(error: RefusedError, job_request: JobRequest) -> ProblemError:
    """The problem of one refused job request."""
    return refusal_of(error.faults, [job_request], many=False)


def backfill_refusal(error: RefusedError, params: Mapping[str, Json]) -> ProblemError:
    """The problem of a refused backfill."""
    request = JobRequest("", "", params)
    return body_problem([_field_fault(one, request, many=False) for one in error.faults])


def _field_fault(fault: JobRequestFault, job_request: JobRequest, *, many: bool) -> FieldFault:
    before: list[str | int] = ["jobs", fault.place] if many else []
    inside = pointer_steps(fault.path, dict(job_request.params)) if fault.path else []
    if fault.member == "labels" and fault.path:
        inside = [fault.path]
    return FieldFault(fault.reason, pointer_of([*before, fault.member, *inside]))


def pointer_steps(path: str, within: Json) -> list[str | int]:
    """The members on a path such as ``variants.twitter[0].message``.

    Names may contain dots and brackets, so the existing names are tried before the path is split.
    """
    steps: list[str | int] = []
    while path:
        if path.startswith("[") and (end := path.find("]")) > 1 and path[1:end].isdigit():
            step: str | int = int(path[1:end])
            path = path[end + 1 :]
            within = within[step] if isinstance(within, list) and isinstance(step, int) and step < len(within) else None
        else:
            path = path.removeprefix(".") if steps else path
            step = _name_at(path, within)
            path = path[len(step) :]
            within = within.get(step) if isinstance(within, dict) else None
        steps.append(step)
    return steps


def _name_at(path: str, within: Json) -> str:
    names: list[str] = list(within) if isinstance(within, dict) else []
    there = [name for name in names if name and path.startswith(name) and path[len(name) :][:1] in ("", ".", "[")]
    if there:
        return max(there, key=len)
    cut = [place for sign in ".[" if (place := path.find(sign)) > 0]
    return path[: min(cut)] if cut else path
