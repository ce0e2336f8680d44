"""HTTP and JSON as values: requests, replies, header fields, content codings, links to finished files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tidewaiter.domain.request_signing import RequestSigner

from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.multipart import Multipart
from tidewaiter.domain.own_origins import AuthChoice

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]


@immutable(frozen=True, slots=True)
class WireRequest:
    """One HTTP request before credentials are added.

    ``url`` is absolute and already percent-encoded; it is sent byte for byte. ``fresh`` requests a new
    connection: if the server closed a kept-alive connection during a submit, the outcome would be unknown.
    ``multipart`` has the parts of the body; ``body`` is ``None`` until the files among them are read.
    ``secrets`` were made for this request, such as a signature; they must be redacted before it is sent. ``auth`` says
    which credentials it gets at the provider's own origins. ``named_headers`` are fields that a reply has named for
    this URL: they are sent to its origin only, and replace no other field.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    fresh: bool = False
    multipart: Multipart | None = None
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    auth: AuthChoice = True
    named_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def with_headers(self, more: Mapping[str, str]) -> "WireRequest":
        """The request with more header fields. Fields that it already has, in upper or lower case, stay."""
        given = {name.lower() for name in self.headers}
        added = {name: value for name, value in more.items() if name.lower() not in given}
        return replace(self, headers={**added, **self.headers}) if added else self

    def sent_as(self, url: str, headers: Mapping[str, str], body: bytes | None) -> "WireRequest":
        """The request with these in place of its own: ``replace`` in half the time, because every request needs it."""
        kept = (self.fresh, self.multipart, self.secrets, self.auth, self.named_headers)
        return WireRequest(self.method, url, headers, body, *kept)


class HeaderFields(Mapping[str, str]):
    """The header fields of a reply that did not come over the network; names are looked up in lower case.

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
        """The number of different fields."""
        return len(self._values)

    def getall(self, name: str, default: Sequence[str] = ()) -> Sequence[str]:
        """Every value of a field."""
        return self._values.get(name, default)


def field_values(headers: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Every value of a header field, in the order of the reply (RFC 9110, section 5.3); empty if it is absent.

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
    """A list field as one value: repeated fields joined by commas; ``None`` if it is absent."""
    values = field_values(headers, name)
    return ", ".join(values) if values else None


@immutable(frozen=True, slots=True)
class Credentials:
    """The account's credentials; added to requests to the provider's own origin and to no others.

    ``body`` is added to the JSON object or form that is sent, or to the query if the request has neither. ``signer``
    signs the request when all of that is in it.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    body: tuple[tuple[str, str], ...] = ()
    signer: "RequestSigner | None" = None

    def joined(self, other: "Credentials") -> "Credentials":
        """These and others, all on the same request."""
        headers, signer = {**self.headers, **other.headers}, other.signer or self.signer
        return Credentials(headers, self.query + other.query, self.body + other.body, signer)


@immutable(frozen=True, slots=True)
class WireReply:
    """One HTTP reply whose body was read into memory.

    ``headers`` is looked up with lower-case names (a case-insensitive mapping, or a plain one with lower-case keys).
    ``truncated``: the body was longer than the buffer limit, and ``body`` is only its beginning. ``phrase`` is the
    reason phrase of the status line, if the server sent one. ``foreign``: the reply came from another host than the
    provider, or from an address that another host chose, so it says nothing about the account.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""
    truncated: bool = False
    phrase: str = ""
    foreign: bool = False


@immutable(frozen=True, slots=True)
class SealedLinks:
    """Encrypted links as they are stored; only the download of the files decrypts them.

    ``count`` is how many there are, if the text itself says so.
    """

    text: str = field(repr=False)
    count: int | None = None


@immutable(frozen=True, slots=True)
class Link:
    """One file of a finished remote job, as the provider named it.

    ``label`` is a name that the provider proposes, never a path. ``send_auth`` says whether the account's credentials
    are sent with the request, if it goes to the provider's own origin. ``size`` is in bytes, ``count`` in records; both
    are ``None`` if the provider does not give them. ``sha256`` and ``md5`` are lower-case hex. ``gzip``: the file may
    be compressed; the first bytes decide, and it lands decompressed. Size and checksums may be of either form.
    ``unread`` names the announced digest that could not be read, and the reason. ``archive``: the file is an archive of
    this kind, and its members land in its place.

    ``method``, ``headers``, ``body`` and ``auth`` are those of the request for the file; ``body`` has one character for
    each byte. A request that is no GET is sent to the provider's own origins only, and may be repeated.
    ``named_headers`` are those that the reply names for this file; they may be secrets.
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
    archive: str | None = None
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    auth: AuthChoice = True
    named_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def request(self, more: Mapping[str, str]) -> WireRequest:
        """The request for the file, with the header fields ``more`` of the download itself."""
        body = None if self.body is None else self.body.encode("latin-1")
        headers, named = {**dict(self.headers), **more}, self.named_headers
        return WireRequest(self.method, self.url, headers, body, auth=self.auth, named_headers=named)

    def to_json(self) -> JsonObject:
        """The link as JSON, without the members that are empty."""
        every = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in every.items() if value is not None and value != _EMPTY.get(name, "")}

    @classmethod
    def from_json(cls, raw: JsonObject) -> "Link":
        """The inverse of :meth:`to_json`."""
        link = cls(**raw)  # type: ignore[arg-type]  # written by to_json alone
        if not (link.headers or link.named_headers):
            return link
        headers, named = _pairs(link.headers), _pairs(link.named_headers)
        return replace(link, headers=headers, named_headers=named)


def _pairs(raw: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in raw)


_EMPTY: Mapping[str, object] = {"gzip": False, "method": "GET", "headers": (), "auth": True, "named_headers": ()}
"""What the members of a link are if they say nothing; texts are empty."""


# --- content codings --------------------------------------------------------------------------------------------------


_DECODABLE = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_MOST_CODINGS = 5  # the same limit as in curl; each coding multiplies the size of the decoded body
_NO_CODING = re.compile(
    r"""
    identity | none | null | no | off | false | default | plain | text | raw | binary | 7bit | 8bit | quoted-printable
    | chunked | aws-chunked                                                  # of the transfer, which is over
    | (us-)?ascii | utf-?(7|8|16|32)([lb]e)? | ucs-?[24] | unicode | ansi    # character sets
    | iso[-_]?8859[-_]?\d{1,2} | latin-?\d{1,2} | windows-?\d{3,4} | cp-?\d{3,5} | koi8-?[ru]
    | shift[-_]jis | euc-?(jp|kr|cn|tw) | big5 | gb(k|2312|18030) | iso-2022-\w{2}
    | charset\ *=.* | [\w.+*-]+/[\w.+*-]+                                    # a character set, a media type
    """,
    re.VERBOSE | re.ASCII,
)


def content_codings(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The codings of a reply's body, in the order in which they were applied; usually none.

    Args:
        headers: of the reply; repeated fields and lists count as one list.

    Returns:
        Names in lower case, ``gzip`` for ``x-gzip``; also those that cannot be decoded.
    """
    fields = field_values(headers, "content-encoding")
    if not fields:
        return ()
    names = (value.partition(";")[0].strip(" \t\"'").lower() for value in ",".join(fields).split(","))
    return tuple(_DECODABLE.get(name, name) for name in names if name and not _NO_CODING.fullmatch(name))


def can_decode(codings: Sequence[str]) -> bool:
    """Whether all these codings can be decoded."""
    return len(codings) <= _MOST_CODINGS and all(coding in _DECODABLE for coding in codings)
