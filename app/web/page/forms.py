"""Reads the forms that pages send."""

import urllib.parse
from typing import Final

from aiohttp import web

from app.domain.formatting import visible
from app.web.bodies import read_bytes
from app.web.problems import ProblemError

_FORM: Final = "application/x-www-form-urlencoded"
_LARGEST_FORM: Final = 16_384
_MOST_FIELDS: Final = 20


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a form, stripped of blanks.

    Raises:
        ProblemError: the body is no form, is too large, or does not come in time.
    """
    if request.can_read_body and request.content_type != _FORM:
        raise ProblemError(415, f"a form comes as {_FORM}")
    raw = await read_bytes(request, _LARGEST_FORM)
    charset = request.charset or "utf-8"
    try:
        fields = urllib.parse.parse_qsl(
            raw.decode(charset), keep_blank_values=True, encoding=charset, max_num_fields=_MOST_FIELDS
        )
    except (ValueError, LookupError):
        raise ProblemError(400, "the form cannot be read") from None
    return {name: visible(value.strip()) for name, value in fields}
