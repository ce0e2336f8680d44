"""Recognizing an HTML document by its first bytes, whatever type is declared.

A login page, an error page or a portal comes with status 200 in place of a file. Source: WHATWG MIME Sniffing,
section 7.1 (https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type).
"""

import re

SNIFFED_BYTES = 4096
"""So many bytes after leading blanks are enough to decide."""

_BLANKS = " \t\n\f\r\ufeff"
# The standard's tags and a few more that pages without <html> begin with. By the standard a tag's name ends with a
# space or ">"; authors also write a line end or "/".
_HTML_TAG = re.compile(
    r"<(?:!doctype\s+html|html|head|script|iframe|h[1-6]|div|font|table|a|style|title|b|body|br|p|meta|noscript)"
    r"(?=[\s>/])",
    re.IGNORECASE,
)
_HTML_ROOT = re.compile(r"<(?:!doctype\s+|(?:[\w.-]{1,64}:)?)html(?=[\s>/])", re.IGNORECASE)
_UNKNOWN = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/unknown", "*/*"})
_ENDS = (("<?", "?>"), ("<!--", "-->"))


def is_html(head: bytes, expected_media_type: str | None, declared: str | None) -> bool:
    """Whether an HTML document came where another file is expected.

    Args:
        head: the first bytes of the file, unpacked; ``SNIFFED_BYTES`` of them after leading blanks, or all.
        expected_media_type: what the file should be, by the spec or the provider's list; ``None`` where neither says.
            Where it is HTML, no document is out of place.
        declared: the Content-Type that came along. ``text/html`` proves nothing, for PHP declares it by default; it is
            used where nothing is expected and it names XML.

    Returns:
        Of XML only a document whose doctype or root element is ``html`` counts, for XML may begin with a comment, and
        ``a``, ``b`` or ``title`` may be the root of any vocabulary.
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
    """How many bytes at the beginning of a file are blank, so that more must be looked at."""
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
    """What follows processing instructions, comments and a doctype other than HTML's; empty where they do not end."""
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
