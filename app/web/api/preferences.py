"""Headers by which a caller says how it wants to be served: how long it can wait, and which request this is."""

import re
from typing import Final

from aiohttp import hdrs, web

from app.web.problems import FieldFault, ProblemError

MOST_WAIT_S: Final = 60
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotent-Replayed"
KEY_PATTERN: Final = r'^("[ !#-\[\]-~]{1,255}"|[!#-+.-:<-\[\]-~-]{1,255})$'

_WAIT: Final = re.compile(r"wait\s*=\s*\"?([0-9]{1,6})\"?", re.IGNORECASE)
_ENTITY_TAG: Final = re.compile(r'(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"')
_KEY: Final = re.compile(KEY_PATTERN)


def wait_of(request: web.Request) -> int | None:
    """How many seconds the caller prefers to wait (RFC 7240), a minute at most; ``None`` where it does not.

    A preference that cannot be read is passed over, as the RFC wants it.
    """
    for line in request.headers.getall("Prefer", ()):
        for preference in line.split(","):
            found = _WAIT.fullmatch(preference.partition(";")[0].strip())
            if found:
                return min(int(found[1]), MOST_WAIT_S)
    return None


def applied(wait_s: int | None) -> dict[str, str]:
    """The header that says that a preference was heeded."""
    return {} if wait_s is None else {"Preference-Applied": f"wait={wait_s}"}


def idempotency_key(request: web.Request) -> str | None:
    """The key by which a request that is sent again is known again; ``None`` where there is none.

    The draft wants a string in quotes (RFC 8941); bare keys, as many programs send them, mean the same.
    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

    Raises:
        ProblemError: 400 where it is no such key.
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


def known_tags(request: web.Request) -> frozenset[str]:
    """The entity tags of ``If-None-Match``, weak or strong, without quotes; ``*`` stands for any."""
    return frozenset(tag for tag, _ in _tags(request, hdrs.IF_NONE_MATCH))


def matched_tags(request: web.Request) -> frozenset[str]:
    """The strong entity tags of ``If-Match``, the only ones that can match there; ``*`` stands for any."""
    return frozenset(tag for tag, is_strong in _tags(request, hdrs.IF_MATCH) if is_strong)


def _tags(request: web.Request, header: str) -> list[tuple[str, bool]]:
    """The entity tags of a header (RFC 9110, section 8.8.3); none where it cannot be read."""
    text = ",".join(request.headers.getall(header, ())).strip()
    if text == "*":
        return [("*", True)]
    if _ENTITY_TAG.sub("", text).strip(", \t"):
        return []
    found = _ENTITY_TAG.finditer(text)
    return [(one["tag"], not one["weak"]) for one in found if one["tag"] != "*"]
