"""Content codings: which ones a reply's Content-Encoding names (RFC 9110, section 8.4).

Servers also write there what is no coding: a character set, a media type, a transfer encoding of mail, or a word for
"none". Such a value says nothing about the bytes and is passed over.
"""

import re
from collections.abc import Mapping, Sequence

from app.domain.wire import field_values

_UNDONE = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_MOST_CODINGS = 5  # as many as curl undoes; each one multiplies what a reply can expand to
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
        Names in lower case, ``gzip`` for ``x-gzip``; also those that cannot be undone.
    """
    values = ",".join(field_values(headers, "content-encoding")).split(",")
    names = (value.partition(";")[0].strip(" \t\"'").lower() for value in values)
    return tuple(_UNDONE.get(name, name) for name in names if name and not _NO_CODING.fullmatch(name))


def can_be_undone(codings: Sequence[str]) -> bool:
    """Whether every one of these codings can be undone."""
    return len(codings) <= _MOST_CODINGS and all(coding in _UNDONE for coding in codings)
