"""HTTP as values: what a provider is asked, what it answered, and a link to a finished file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.domain.jsonvalue import JsonObject


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request before credentials are added.

    ``url`` is absolute and already percent-encoded; it is sent byte for byte. ``fresh`` asks for a connection of its
    own: a submit must never meet a kept-alive connection that the server is just closing, because then its outcome
    would be unknown.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    fresh: bool = False

    def with_headers(self, more: Mapping[str, str]) -> "WireRequest":
        """The request with further header fields; those that it has already, in any case of letters, stay."""
        given = {name.lower() for name in self.headers}
        added = {name: value for name, value in more.items() if name.lower() not in given}
        return replace(self, headers={**added, **self.headers}) if added else self


class Fields(Mapping[str, str]):
    """The header fields of a reply that did not come over a wire; names are looked up in lower case.

    Args:
        values: the values of each field, in order.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = {name.lower(): tuple(several) for name, several in values.items() if several}

    def __getitem__(self, name: str) -> str:
        """The first value of a field."""
        return self._values[name][0]

    def __iter__(self) -> Iterator[str]:
        """The names of the fields."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many fields there are, each counted once."""
        return len(self._values)

    def getall(self, name: str, default: Sequence[str] = ()) -> Sequence[str]:
        """Every value of a field."""
        return self._values.get(name, default)


def field_values(headers: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Every value of a header field, in the order in which the fields came (RFC 9110, section 5.3); often none.

    Args:
        headers: of a reply; a mapping that holds repeated fields has ``getall``, any other holds each field once.
        name: in lower case.
    """
    getall = getattr(headers, "getall", None)
    if getall is not None:
        return tuple(getall(name, ()))
    value = headers.get(name)
    return () if value is None else (value,)


def combined_field(headers: Mapping[str, str], name: str) -> str | None:
    """A field that is a list, as one value: repeated fields joined by commas; ``None`` where it is absent."""
    values = field_values(headers, name)
    return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves the account to its provider; added to requests to the provider's own origin and to no others.

    ``body`` goes among the members of a JSON object or a form that is sent; into the query where there is neither.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    body: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WireReply:
    """One HTTP reply whose body was read into memory.

    ``headers`` is looked up with lower-case names (a case-insensitive mapping, or a plain one with lower-case keys).
    ``truncated`` says that the body was longer than the buffer limit and only its beginning is here. ``phrase`` is the
    reason phrase of the status line, where the server sent one. ``foreign`` says that another host than the provider
    answered, or chose the address that did: such a reply says nothing of the account.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""
    truncated: bool = False
    phrase: str = ""
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class SealedLinks:
    """Links as they are stored where they are encrypted; only the download of the files decrypts them."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Link:
    """One file of a finished remote job, as the provider named it.

    ``label`` is a name that the provider proposes: a label only, never a path. ``send_auth`` says whether the
    account's credentials go with the request, which they do only to the provider's own origin. ``size`` is in bytes,
    ``count`` in records; both are ``None`` where the provider does not say. ``sha256`` and ``md5`` are lower-case hex.
    ``gzip`` says that the file may be packed: the first bytes decide, and it lands unpacked. Size and checksums may be
    those of the packed or of the unpacked file. ``unread`` says which announced digest could not be read, and why.
    """

    url: str
    label: str = ""
    send_auth: bool = True
    media_type: str | None = None
    size: int | None = None
    count: int | None = None
    sha256: str | None = None
    md5: str | None = None
    gzip: bool = False
    unread: str | None = None

    def to_json(self) -> JsonObject:
        """The link as JSON, without the members that say nothing."""
        every = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: value
            for name, value in every.items()
            if value is not None and value != "" and (name != "gzip" or value)
        }

    @classmethod
    def from_json(cls, raw: JsonObject) -> "Link":
        """The inverse of :meth:`to_json`."""
        return cls(**raw)  # type: ignore[arg-type]  # written by to_json alone
