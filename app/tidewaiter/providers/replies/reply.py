"""Reading a reply: its text, its JSON within bounds, and its sender."""

import json
import math
from typing import NoReturn

from tidewaiter.domain.backoff_and_limits import USUAL_BOUNDS
from tidewaiter.domain.http_values import Json, WireReply
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.replies.xml_replies import XmlError, XmlForm, XmlLimitError, read_xml
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.providers.values.texts import LONGEST_QUOTE, LONGEST_TEXT, quoted

_MOST_VALUES = USUAL_BOUNDS.most_values
_MOST_DIGITS = 4300
"""Python's own limit: the time to read a number grows with the square of its digits."""


def _refuse_constant(name: str) -> NoReturn:
    # NaN and the infinities are not JSON, and PostgreSQL stores none of them in a JSON column.
    raise ValueError(f"{name} is not JSON")


class JsonLimitError(ValueError):
    """JSON exceeds a limit; the message says which."""


def _finite(digits: str) -> float:
    # 1e999 is JSON, but Python reads it as infinity, and writes that as invalid JSON.
    number = float(digits)
    if math.isinf(number):
        raise JsonLimitError("its JSON holds a number that is too large")
    return number


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise JsonLimitError(f"its JSON holds a number of {len(digits)} digits")
    return int(digits)


# One for all replies; json.loads makes one for each call.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)
# For a body too short to hold a number with too many digits: it calls nothing for each number.
_SHORT_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


class Reading:
    """A reply, with its parsed body; reading never raises, whatever the body is.

    ``xml``: how the body is read if it is XML; without it, it is JSON.
    """

    __slots__ = (
        "_document",
        "_most_values",
        "_parsed",
        "_xml",
        "body",
        "detail",
        "fault",
        "foreign",
        "headers",
        "malformed",
        "phrase",
        "status",
        "truncated",
        "url",
    )

    def __init__(self, reply: WireReply, most_values: int = _MOST_VALUES, xml: XmlForm | None = None) -> None:
        self.status = reply.status
        self.headers = reply.headers
        self.body = reply.body
        self.url = reply.url
        self.phrase = reply.phrase
        self.truncated = reply.truncated
        self.foreign = reply.foreign
        self.malformed = False
        """Whether the body was read as JSON (or XML) and is not JSON (or XML), or only the beginning of it."""
        self.fault: str | None = None
        """Why the body cannot be read, if it exceeds a limit."""
        self.detail: str | None = None
        """Why the body is not XML."""
        self._most_values = most_values
        self._xml = xml
        self._parsed = False
        self._document: Json = None

    @property
    def form(self) -> str:
        """What the body is read as: JSON or XML."""
        return "JSON" if self._xml is None else "XML"

    def document(self) -> Json:
        """The body as JSON, or the tree of XML; ``None`` if it is neither; then ``malformed`` is set."""
        if not self._parsed:
            self._parsed = True
            try:
                self._document = self._decoded()
            except RecursionError:
                self.malformed, self.fault = True, "its JSON is nested too deep"
            except (JsonLimitError, XmlLimitError) as error:
                self.malformed, self.fault = True, str(error)
            except XmlError as error:
                self.malformed, self.detail = True, str(error)
            except ValueError:
                self.malformed = True
        return self._document

    def _decoded(self) -> Json:
        """The body as JSON; raises ``ValueError`` and ``RecursionError``."""
        if self.truncated:
            raise ValueError("only the beginning of the body is there")
        if self._xml is not None:
            return read_xml(self.body, self.headers, self._xml, self._most_values)
        body = self.body
        values = 0 if len(body) <= self._most_values else body.count(b",") + body.count(b"[") + body.count(b"{")
        if values > self._most_values:
            raise JsonLimitError(
                f"its JSON holds up to {values} values, and {self._most_values} are permitted: "
                "request smaller pages, or raise most_values in the account's bounds"
            )
        decoder = _SHORT_DECODER if len(body) <= _MOST_DIGITS else _DECODER
        # Only a body in UTF-16 or UTF-32, or with a byte order mark, has other bytes than these.
        encoding = "utf-8" if body.isascii() and b"\0" not in body else json.detect_encoding(body)
        document: Json = decoder.decode(body.decode(encoding))
        return document

    def text(self) -> str:
        """The beginning of the body as text; bytes that are not UTF-8 are replaced."""
        return self.body[:LONGEST_TEXT].decode("utf-8", "replace")


def is_own(reply: WireReply | Reading, own: OwnOrigins) -> bool:
    """Whether a reply comes from one of the provider's origins ``own``, at an address that no other host chose."""
    return not reply.foreign and host_of(reply, own) is None


def host_of(reply: WireReply | Reading, own: OwnOrigins) -> str | None:
    """The origin of the host that replied instead of ``own``; ``None`` if it was the provider itself."""
    origin = origin_of(reply.url) if reply.url else own.main
    return None if own.has(origin) else origin


def excerpt(reading: Reading, redactor: Redactor) -> str:
    """The beginning of a body, as :func:`quoted` gives it."""
    start = reading.body[:LONGEST_QUOTE].decode("utf-8", "replace")
    return quoted(start, redactor, cut=reading.truncated or len(reading.body) > LONGEST_QUOTE)
