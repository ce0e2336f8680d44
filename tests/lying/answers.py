"""Replies as values: an honest answer, and the script of bytes, pauses and endings that goes over the socket."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

End: TypeAlias = Literal["keep", "close", "reset"]
Framing: TypeAlias = Literal["length", "chunked", "close", "none"]
Fields: TypeAlias = tuple[tuple[str, str], ...]

_NO_BODY = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True)
class Script:
    """What is done on the socket: pieces of bytes are sent, numbers are seconds of silence, then the end."""

    pieces: tuple[bytes | float, ...]
    end: End = "keep"
    note: str = ""

    def ending(self, end: End) -> "Script":
        """The same bytes, with another end."""
        return replace(self, end=end)


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, as an honest server would give it; a fault changes it, or the script that is made of it.

    ``before`` goes over the socket ahead of the status line (interim replies). ``framing`` says how the end of the
    body is told; ``none`` sends no field about it, so that a fault can put its own in ``fields``.
    """

    status: int = 200
    fields: Fields = ()
    body: bytes = b""
    framing: Framing = "length"
    phrase: str | None = None
    before: bytes = b""
    head_only: bool = False
    note: str = ""

    def but(self, **changes: Any) -> "Answer":
        """The same with other members."""
        return replace(self, **changes)

    def with_fields(self, *fields: tuple[str, str]) -> "Answer":
        """The same with these fields in place of those of the same names."""
        names = {name.lower() for name, _ in fields}
        kept = tuple((name, value) for name, value in self.fields if name.lower() not in names)
        return replace(self, fields=(*kept, *fields))

    def without(self, *names: str) -> "Answer":
        """The same without the fields of these names."""
        return replace(self, fields=tuple(one for one in self.fields if one[0].lower() not in names))

    def value(self, name: str) -> str | None:
        """The first value of a field."""
        return next((value for one, value in self.fields if one.lower() == name), None)

    @property
    def head(self) -> bytes:
        """Status line and fields, with the empty line."""
        phrase = self.phrase if self.phrase is not None else _phrase_of(self.status)
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if self.framing == "length" and self.status not in _NO_BODY:
            lines.append(f"Content-Length: {len(self.body)}")
        elif self.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif self.framing == "close":
            lines.append("Connection: close")
        elif self.status == 205:
            lines.append("Content-Length: 0")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    @property
    def payload(self) -> bytes:
        """The body as it goes over the socket."""
        if self.status in _NO_BODY or self.head_only:
            return b""
        return chunked(self.body) if self.framing == "chunked" else self.body

    def script(self) -> Script:
        """The honest script."""
        end: End = "close" if self.framing == "close" else "keep"
        return Script((self.before + self.head + self.payload,), end, self.note or f"{self.status}")


def _phrase_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Whatever"


def chunked(body: bytes, size: int = 4000, *, last: bool = True) -> bytes:
    """A body in chunks; ``last`` sends the chunk that says that it is whole."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return coded + (b"0\r\n\r\n" if last else b"")


def json_answer(document: object, status: int = 200, fields: Sequence[tuple[str, str]] = ()) -> Answer:
    """A reply of JSON."""
    return Answer(status, (("Content-Type", "application/json"), *fields), json.dumps(document).encode())


@dataclass(slots=True)
class Request:
    """One request as it came: method, target as sent, fields by lower-case name, body, and whether the port is ours."""

    method: str
    target: str
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    foreign: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query, not decoded."""
        _, _, query = self.target.partition("?")
        return dict(part.partition("=")[::2] for part in query.split("&") if part)
