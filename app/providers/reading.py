"""One reply as rules and extractions look at it: its JSON parsed at most once, and only where something asks."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import NoReturn
from urllib.parse import quote, quote_plus

from app.domain.jsonvalue import Json
from app.domain.wire import WireReply

EXCERPT_LENGTH = 200
_LOOKED_AT = 4096
LONGEST_TEXT = 65_536
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_URL_QUERY = re.compile(r"(https?:(?:\\?/){2}[^\s\"'<>?]+)\?[^\s\"'<>]*")
_REDACTED = "[redacted]"

Redact = Callable[[str], str]


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


def redactor(secrets: Iterable[str]) -> Redact:
    """What takes secrets out of a text: these, as they are and as URLs and JSON write them, and any URL's query."""
    forms = {
        form
        for secret in secrets
        if secret
        for form in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
    }
    # The longest first, so that no secret survives in part because another is its beginning.
    known = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True)))) if forms else None

    def redact(text: str) -> str:
        if known is not None:
            text = known.sub(_REDACTED, text)
        return _URL_QUERY.sub(rf"\1?{_REDACTED}", text)

    return redact


def excerpt(reading: Reading, redact: Redact) -> str:
    """The beginning of a body, redacted, for a person to read: one line of at most ``EXCERPT_LENGTH`` characters."""
    # Twice as much is redacted as is kept, so that a secret that the first cut divides does not show in part.
    start = redact(reading.body[: 2 * _LOOKED_AT].decode("utf-8", "replace"))[:_LOOKED_AT]
    return shorten(plain(start))
