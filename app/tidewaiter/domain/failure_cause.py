"""The cause of a failure: its reason without what differs from job to job, so that equal failures can be counted."""

import re
from typing import Final

_LONGEST: Final = 200
_LEFT_OUT: Final = "*"
# Addresses, quoted texts, and words with a digit, except the status of a reply.
_DIFFERS: Final = re.compile(
    r"""https?://\S+|'[^']*'|"[^"]*"|(?<!HTTP )(?<!\w)[\w.:+-]*\d[\w.:+-]*\w|(?<!HTTP )\b\d+\b"""
)
_REPEATED: Final = re.compile(r"\*(?:[\s,;/]*\*)+")


def cause_of(reason: str) -> str:
    """The cause that failures with this reason have in common, for people and as the key of a group.

    >>> cause_of("HTTP 404: report 4711 of '2026-01-01' does not exist")
    'HTTP 404: report * of * does not exist'
    """
    return _REPEATED.sub(_LEFT_OUT, _DIFFERS.sub(_LEFT_OUT, reason))[:_LONGEST]
