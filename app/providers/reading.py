"""One reply as rules and extractions look at it: its JSON parsed at most once, and only where something asks."""

import base64
import json
import re
from typing import NoReturn

from app.domain.jsonvalue import Json
from app.domain.wire import WireReply
from app.log.redact import Redactor

EXCERPT_LENGTH = 200
LONGEST_QUOTE = 8192
LONGEST_TEXT = 65_536
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


def _refuse_constant(name: str) -> NoReturn:
    # NaN and the infinities are not JSON, and PostgreSQL stores none of them in a JSON column.
    raise ValueError(f"{name} is not JSON")


# json.loads would make one for every reply.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class Reading:
    """A reply and what has been read out of it so far; never raises, whatever the body is."""

    __slots__ = ("_document", "_parsed", "body", "headers", "malformed", "phrase", "status", "truncated", "url")

    def __init__(self, reply: WireReply) -> None:
        self.status = reply.status
        self.headers = reply.headers
        self.body = reply.body
        self.url = reply.url
        self.phrase = reply.phrase
        self.truncated = reply.truncated
        self.malformed = False
        """Whether JSON was asked for and the body was none (or only the beginning of some)."""
        self._parsed = False
        self._document: Json = None

    def document(self) -> Json:
        """The body as JSON; ``None`` where it is not JSON, which ``malformed`` then says."""
        if not self._parsed:
            self._parsed = True
            try:
                if self.truncated:
                    self.malformed = True
                else:
                    self._document = _DECODER.decode(self.body.decode(json.detect_encoding(self.body)))
            except (ValueError, RecursionError):
                self.malformed = True
        return self._document

    def text(self) -> str:
        """The beginning of the body as text; what is not UTF-8 is replaced."""
        return self.body[:LONGEST_TEXT].decode("utf-8", "replace")


def plain(text: str) -> str:
    """Text from outside, fit for a log line and a database: one line, no controls, valid Unicode."""
    return _BLANKS.sub(" ", text).strip().encode("utf-8", "replace").decode("utf-8")


def shorten(text: str, length: int = EXCERPT_LENGTH) -> str:
    """The text cut to at most ``length`` characters, with an ellipsis where something was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def basic_credential(username: str, password: str) -> str:
    """The credential of HTTP Basic, in UTF-8. Source: RFC 7617."""
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def quoted(text: str, redactor: Redactor, length: int = EXCERPT_LENGTH, *, cut: bool = False) -> str:
    """What a provider said, for a person to read: one line of at most ``length`` characters, without secrets.

    It is cut before anything is looked for in it, and its secrets are taken out before it is shortened. ``cut`` says
    that it is the beginning of something longer.
    """
    cut = cut or len(text) > LONGEST_QUOTE
    return shorten(plain(redactor.clean_quote(text[:LONGEST_QUOTE], cut=cut)), length)


def excerpt(reading: Reading, redactor: Redactor) -> str:
    """The beginning of a body, as :func:`quoted` gives it."""
    start = reading.body[:LONGEST_QUOTE].decode("utf-8", "replace")
    return quoted(start, redactor, cut=reading.truncated or len(reading.body) > LONGEST_QUOTE)
