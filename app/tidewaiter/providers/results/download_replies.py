"""Decides what the reply to a download means and what to do next: whole file, part, another request, or no file.

No IO. Headers cannot always be trusted, so the first bytes of a body count: a page of HTML with status 200 is no file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tidewaiter.domain.http_values import can_decode, content_codings, field_values
from tidewaiter.domain.outcome import NotYet, Refused, Retry
from tidewaiter.providers.replies.reply_defaults import FileTrouble, is_success

# --- HTML in place of a file ------------------------------------------------------------------------------------------


SNIFFED_BYTES = 4096
"""This many bytes after leading white space are enough to recognize HTML."""

_BLANKS = " \t\n\f\r\ufeff"
# The tags of the standard (MIME Sniffing) and a few more with which pages without <html> begin. By the standard a tag's
# name ends with a space or ">"; a line end or "/" is also common.
_HTML_TAG = re.compile(
    r"<(?:!doctype\s+html|html|head|script|iframe|h[1-6]|div|font|table|a|style|title|b|body|br|p|meta|noscript)"
    r"(?=[\s>/])",
    re.IGNORECASE,
)
_HTML_ROOT = re.compile(r"<(?:!doctype\s+|(?:[\w.-]{1,64}:)?)html(?=[\s>/])", re.IGNORECASE)
_UNKNOWN = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/unknown", "*/*"})
_ENDS = (("<?", "?>"), ("<!--", "-->"))


def is_html(head: bytes, expected_media_type: str | None, declared: str | None) -> bool:
    """Whether an HTML document came in place of the expected file.

    Args:
        head: the first bytes of the file, unpacked; ``SNIFFED_BYTES`` of them after leading blanks, or all.
        expected_media_type: the media type in the spec or the provider's list; ``None`` if neither has one. If it is
            HTML, the result is false.
        declared: the Content-Type of the reply. ``text/html`` is ignored, because PHP declares it by default; it is
            used only if no media type is expected and it names XML.

    Returns:
        An XML document counts only if its doctype or root element is ``html``: XML may begin with a comment, and ``a``,
        ``b`` or ``title`` may be a root element of other vocabularies.
    """
    expected = _essence(expected_media_type)
    if "html" in expected:
        return False
    text = _text(head).lstrip(_BLANKS)
    is_xml = _is_xml(_essence(declared) if expected in _UNKNOWN else expected)
    if not is_xml and (text.startswith("<!--") or _HTML_TAG.match(text)):
        return True
    return _HTML_ROOT.match(_without_prolog(text)) is not None


def blanks_before(head: bytes) -> int:
    """The number of white-space bytes at the beginning of a file, after which more bytes must be examined."""
    return len(head) - len(head.lstrip(b" \t\n\f\r\xef\xbb\xbf\xff\xfe"))


def _essence(media_type: str | None) -> str:
    return (media_type or "").partition(";")[0].strip().lower()


def _is_xml(essence: str) -> bool:
    return essence in ("text/xml", "application/xml") or essence.endswith("+xml")


def _text(head: bytes) -> str:
    """The bytes as characters, of which only the ASCII ones matter."""
    if head.startswith((b"\xff\xfe", b"<\x00")):
        return head.decode("utf-16-le", "replace")
    if head.startswith((b"\xfe\xff", b"\x00<")):
        return head.decode("utf-16-be", "replace")
    return head.decode("utf-8", "replace")


def _without_prolog(text: str) -> str:
    """The text after processing instructions, comments and a doctype other than HTML's; empty if they do not end."""
    while True:
        for start, end in _ENDS:
            if text.startswith(start):
                text = text.partition(end)[2].lstrip(_BLANKS)
                break
        else:
            if text[:9].lower() != "<!doctype" or _HTML_ROOT.match(text):
                return text
            ends = "]" if "[" in text.partition(">")[0] else ">"
            text = text.partition(ends)[2].lstrip(_BLANKS + "]>")


# --- requests and decisions -------------------------------------------------------------------------------------------


_BYTES_RANGE = re.compile(r"bytes[ \t]+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes[ \t]+\*/([0-9]{1,18})", re.IGNORECASE)
# Also malformed, as "bytes=0-9/100", and with other units, as "items 0-24/319": a reply with a range is no whole file.
_ANY_RANGE = re.compile(r"([a-z]+)[\s=:]+([0-9]{1,18})\s*-\s*([0-9]{1,18})\s*/\s*([0-9]{1,18}|\*)", re.IGNORECASE)
_UNFIT = frozenset({412, 416, 501})
_MULTIPART = "multipart/byteranges"


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """The request for a file, and what is known about the file.

    ``at`` is the number of bytes that are stored: 0 requests the whole file, more the rest, on the condition that the
    file still has the strong entity tag ``validator``. ``total`` is its size in bytes by an earlier reply.
    ``identity_only`` forbids every content coding. ``restarted``: an earlier reply made us ask for the whole file
    again.
    """

    at: int = 0
    validator: str | None = None
    total: int | None = None
    identity_only: bool = False
    restarted: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of the request."""
        headers = {"Accept-Encoding": "identity;q=1, *;q=0" if self.identity_only else "identity"}
        if self.at and self.validator is not None:
            headers |= {"Range": f"bytes={self.at}-", "If-Range": self.validator}
        return headers

    def restart(self) -> "DownloadRequest":
        """A request for the whole file, without the stored bytes."""
        return DownloadRequest(identity_only=self.identity_only, restarted=True)


@dataclass(frozen=True, slots=True)
class FileBody:
    """The body is the file, or the next part of it.

    ``at`` is its offset: at 0 it replaces all stored bytes. ``length`` is the number of bytes of the body before
    decoding, ``total`` the size of the whole file; ``None`` if the reply does not give it. ``codings`` must be decoded.
    ``validator`` is the strong entity tag for a later request for the rest.
    """

    at: int = 0
    length: int | None = None
    total: int | None = None
    codings: tuple[str, ...] = ()
    validator: str | None = None


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Send this request now. If it is for the whole file, the stored bytes are dropped first."""

    asked: DownloadRequest
    reason: str


@dataclass(frozen=True, slots=True)
class Complete:
    """The stored bytes are the whole file."""


Decision: TypeAlias = FileBody | AskAgain | Complete | NotYet | FileTrouble
"""The outcomes among them mean: wait (``NotYet``), request new links (``LinksExpired``), no file (all others)."""


@dataclass(frozen=True, slots=True)
class FileHead:
    """The head of a reply to a download.

    ``first`` contains the first bytes of the body, decoded as :func:`codings_to_decode` says; see
    :data:`tidewaiter.providers.results.download_replies.SNIFFED_BYTES`.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    first: bytes = b""


def too_large(largest_bytes: int) -> str:
    """The reason for refusing a file that is larger than an account's files may be."""
    return f"the file is larger than {largest_bytes} bytes, which is bounds.largest_file_bytes of the account"


def codings_to_decode(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The codings to decode from the first byte on: all that the reply declares, or none.

    :func:`decide` expects bytes that were decoded in this way.
    """
    codings = content_codings(headers)
    return codings if can_decode(codings) else ()


def decide(
    asked: DownloadRequest,
    head: FileHead,
    *,
    trouble: NotYet | FileTrouble | None,
    expected: str | None,
    largest_bytes: int,
) -> Decision:
    """What a reply to a download means.

    Args:
        asked: the request.
        head: the head of the reply.
        trouble: the outcome by the rules of the spec and the status; ``None`` if the reply brings a file.
        expected: the media type that the file should have; ``None`` if it is not known.
        largest_bytes: a file that is announced as larger is refused.
    """
    if asked.at and (head.status in _UNFIT or isinstance(trouble, Refused)):
        return _unsatisfied(asked, head)
    if trouble is not None:
        return trouble
    if not is_success(head.status):
        return Retry(f"HTTP {head.status}, and no file")
    codings = content_codings(head.headers)
    decision = _part(asked, head, codings) if head.status == 206 else _whole(asked, head, codings)
    if not isinstance(decision, FileBody):
        return decision
    if max(decision.length or 0, decision.total or 0) > largest_bytes:
        return Refused(too_large(largest_bytes))
    if decision.at == 0 and is_html(head.first, expected, _only(head.headers, "content-type")):
        return Retry("a page of HTML came in place of the file")
    return decision


def after(asked: DownloadRequest, body: FileBody, received: int) -> AskAgain | Complete | Retry:
    """What to do after a body was read to its end.

    Args:
        asked: the request.
        body: the expected body.
        received: the number of bytes that came, before decoding.

    Returns:
        ``AskAgain`` if more of the file must be requested, ``Complete``, or ``Retry`` if the body was incomplete.
    """
    held = body.at + received
    if body.length is not None and received != body.length:
        return Retry(f"the file ended after {held} of {body.at + body.length} bytes")
    ends_early = body.at > 0 and (body.total is None or held < body.total)
    if ends_early and body.validator is not None:
        rest = replace(asked, at=held, validator=body.validator, total=body.total)
        return AskAgain(rest, f"{held} bytes are stored, and the reply does not say that this is the whole file")
    return Complete()


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """The entity tag of a reply if it may be used with If-Range: only a strong one (RFC 9110, section 13.1.5)."""
    tag = _only(headers, "etag") or ""
    return tag if len(tag) > 2 and tag.startswith('"') and tag.endswith('"') else None


def _unsatisfied(asked: DownloadRequest, head: FileHead) -> AskAgain | Complete:
    """A range was refused: nothing is missing, the stored bytes are outdated, or the server has no ranges."""
    size = _UNSATISFIED.fullmatch(_only(head.headers, "content-range") or "")
    is_whole = head.status == 416 and size is not None and int(size[1]) == asked.at
    if is_whole and asked.total in (None, asked.at) and _same_tag(asked, head):
        return Complete()
    return AskAgain(asked.restart(), f"HTTP {head.status} to a request for the rest of the file")


def _part(asked: DownloadRequest, head: FileHead, codings: tuple[str, ...]) -> FileBody | AskAgain | Retry:
    """A 206 is used if it continues exactly after the stored bytes, or brings the whole file."""
    found = _BYTES_RANGE.fullmatch(_only(head.headers, "content-range") or "")
    if found is not None and not _is_multipart(head):
        first, last = int(found[1]), int(found[2])
        total = None if found[3] == "*" else int(found[3])
        is_range = first <= last and (total is None or last < total)
        same_total = None in (total, asked.total) or total == asked.total
        if is_range and asked.at and first == asked.at and same_total and not codings and _same_tag(asked, head):
            return FileBody(first, last - first + 1, asked.total if total is None else total, (), asked.validator)
        if is_range and not asked.at and first == 0 and total is not None and last == total - 1:
            return _coded(asked, head, codings, total)
    if asked.at:
        return AskAgain(asked.restart(), "the reply does not continue where an earlier download ended")
    return Retry("the server sent a part of the file, which was not requested")


def _whole(asked: DownloadRequest, head: FileHead, codings: tuple[str, ...]) -> FileBody | AskAgain | Retry | Refused:
    """Any other 2xx brings the whole file, unless it names a part of it."""
    if _is_multipart(head) or _names_a_part(head.headers):
        if not asked.restarted:
            return AskAgain(asked.restart(), f"HTTP {head.status}, and only a part of the file")
        return Refused(f"HTTP {head.status}, and only a part of the file, though the whole file was requested")
    # A Content-Range that covers the whole file gives its size, which is the size of the body, unless it is coded.
    total = None if codings else _named_total(head.headers)
    return _coded(asked, head, codings, _number(head.headers, "content-length") if total is None else total)


def _coded(
    asked: DownloadRequest, head: FileHead, codings: tuple[str, ...], length: int | None
) -> FileBody | AskAgain | Retry:
    """A whole file whose codings can be decoded. It cannot be resumed, because ranges count coded bytes."""
    if not codings:
        return FileBody(0, length, length, (), strong_etag(head.headers))
    if codings == codings_to_decode(head.headers):
        return FileBody(0, length, None, codings)
    named = ", ".join(codings)[:100]
    if not asked.identity_only:
        return AskAgain(
            replace(asked.restart(), identity_only=True, restarted=asked.restarted), f"the file came coded as {named}"
        )
    return Retry(f"the file came coded as {named}, which cannot be decoded, though no coding was requested")


def _same_tag(asked: DownloadRequest, head: FileHead) -> bool:
    """Whether a reply is for the stored file; without a tag it is, because If-Range was sent."""
    return not field_values(head.headers, "etag") or strong_etag(head.headers) == asked.validator


def _is_multipart(head: FileHead) -> bool:
    return any(_MULTIPART in value.lower() for value in field_values(head.headers, "content-type"))


def _names_a_part(headers: Mapping[str, str]) -> bool:
    """Whether a Content-Range, which has no meaning in such a reply, shows that it is only a part of the file."""
    return any(_is_part(value) for value in field_values(headers, "content-range"))


def _is_part(value: str) -> bool:
    found = _ANY_RANGE.fullmatch(value.strip())
    if found is None:
        return re.search(r"[0-9]\s*-\s*[0-9]", value) is not None
    first, last, total = int(found[2]), int(found[3]), found[4]
    if found[1].lower() == "bytes":
        return total == "*" or first > 0 or last + 1 != int(total)
    return total != "*" and last - first + 1 < int(total)


def _named_total(headers: Mapping[str, str]) -> int | None:
    """The size that the Content-Range of a whole file names."""
    value = _only(headers, "content-range") or ""
    found = _BYTES_RANGE.fullmatch(value) or _UNSATISFIED.fullmatch(value)
    total = None if found is None else found[found.re.groups]
    return None if total in (None, "*") else int(total)


def _only(headers: Mapping[str, str], name: str) -> str | None:
    """The value of a field that must not be repeated; ``None`` if it is absent, or repeated with another value."""
    values = {value.strip(" \t") for value in field_values(headers, name)}
    return values.pop() if len(values) == 1 else None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = _only(headers, name) or ""
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None
