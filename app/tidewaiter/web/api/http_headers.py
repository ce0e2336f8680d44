"""The headers of the API: Prefer, Idempotency-Key, entity tags and Range."""

import re
from typing import Final
from zlib import crc32

from aiohttp import hdrs, web

from tidewaiter.domain.job import Job
from tidewaiter.domain.job_labels import trace_of
from tidewaiter.web.problems import FieldFault, ProblemError

MOST_WAIT_S: Final = 60
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
TRACEPARENT: Final = "traceparent"
KEY_PATTERN: Final = r'^("[ !#-\[\]-~]{1,255}"|[!#-+.-:<-\[\]-~-]{1,255})$'

_WAIT: Final = re.compile(r"wait\s*=\s*\"?([0-9]{1,6})\"?", re.IGNORECASE)
_ENTITY_TAG: Final = re.compile(r'(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"')
_KEY: Final = re.compile(KEY_PATTERN)
_LAST_ZERO_BYTES: Final = re.compile("bytes=-0+", re.IGNORECASE)


def entity_tag(job: Job) -> str:
    """The strong entity tag of a job's representation, without quotes.

    A cancel request, a wake-up, a moved deadline and a handled failure change the job without a new version.
    """
    beside = (job.due_at, job.deadline_at, job.cancel_requested, job.id, job.handled_at, job.retried_as)
    return f"{job.version}-{crc32(repr(beside).encode()):08x}"


def wait_of(request: web.Request) -> int | None:
    """How many seconds the caller prefers to wait (RFC 7240), at most a minute; ``None`` without such a preference.

    A preference that cannot be read is ignored, as the RFC requires.
    """
    for line in request.headers.getall("Prefer", ()):
        for preference in line.split(","):
            found = _WAIT.fullmatch(preference.partition(";")[0].strip())
            if found:
                return min(int(found[1]), MOST_WAIT_S)
    return None


def applied(wait_s: int | None) -> dict[str, str]:
    """The response header that confirms the preference."""
    return {} if wait_s is None else {"Preference-Applied": f"wait={wait_s}"}


def idempotency_key(request: web.Request) -> str | None:
    """The key that identifies a repeated request; ``None`` without one.

    The draft requires a quoted string (RFC 8941). Many programs send the key without quotes; it means the same.
    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

    Raises:
        ProblemError: 400 for an invalid key.
    """
    given = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        reason = 'must be one text of 1 to 255 visible ASCII characters without " and \\, best in quotes'
        raise ProblemError(
            400, "the request's key cannot be used", errors=[FieldFault(reason, parameter=IDEMPOTENCY_KEY)]
        )
    return given[0].strip('"')


def traceparent(request: web.Request) -> str | None:
    """The trace that the request belongs to; ``None`` without one. An invalid header is ignored."""
    given = request.headers.getall(TRACEPARENT, [])
    return trace_of(given[0]) if len(given) == 1 else None


def known_tags(request: web.Request) -> frozenset[str]:
    """The entity tags of ``If-None-Match``, weak or strong, without quotes; ``*`` stands for any."""
    return frozenset(tag for tag, _ in _tags(request, hdrs.IF_NONE_MATCH))


def matched_tags(request: web.Request) -> frozenset[str]:
    """The strong entity tags of ``If-Match``, the only ones that can match there; ``*`` stands for any."""
    return frozenset(tag for tag, is_strong in _tags(request, hdrs.IF_MATCH) if is_strong)


def _tags(request: web.Request, header: str) -> list[tuple[str, bool]]:
    """The entity tags of a header (RFC 9110, section 8.8.3); empty if the header is malformed.

    aiohttp's ``if_match`` and ``if_none_match`` are not used: they read only the first of several header lines, take
    the quoted tag ``"*"`` for the wildcard, and stop at an empty tag or an empty list member, both of which are valid.
    """
    text = ",".join(request.headers.getall(header, ())).strip()
    if text == "*":
        return [("*", True)]
    if _ENTITY_TAG.sub("", text).strip(", \t"):
        return []
    found = _ENTITY_TAG.finditer(text)
    return [(one["tag"], not one["weak"]) for one in found if one["tag"] != "*"]


def range_of(request: web.Request, size: int) -> tuple[int, int] | None:
    """The requested range of a file, from its first byte to the one after its last; ``None`` for the whole file.

    Several ranges, and a header that is no range of bytes, are ignored (RFC 9110, section 14.2, permits both).

    Args:
        request: the request.
        size: of the file, in bytes.

    Raises:
        ProblemError: 416 if the range has no byte of the file.
    """
    header = request.headers.get(hdrs.RANGE)
    if header is None:
        return None
    try:
        start, stop, _ = request.http_range.indices(size)
    except ValueError:
        return None
    # aiohttp reads the last 0 bytes as the whole file.
    if start >= stop or _LAST_ZERO_BYTES.fullmatch(header):
        raise ProblemError(416, f"the file has {size} bytes", headers={hdrs.CONTENT_RANGE: f"bytes */{size}"})
    return start, stop
