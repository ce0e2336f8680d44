"""Finds known secrets in a text, in time linear in the text and almost independent of their number."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from app.log.decoding import Span

_FEW: Final = 8
_LONGEST: Final = 4096
"""No searched string has more bytes."""
_BITTEN: Final = 5
"""Characters at either end of a secret that decoding may join with the text beside it."""


class Known:
    """Finds byte strings by their first bytes.

    Args:
        key_length: how many bytes; shorter strings are never found.
    """

    def __init__(self, key_length: int) -> None:
        self._key_length = key_length
        # Values are replaced as a whole: other threads may be reading them.
        self._forms: dict[bytes, tuple[bytes, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._forms)

    def add(self, form: bytes) -> None:
        """Find this string from now on."""
        if len(form) < self._key_length:
            return
        key = form[: self._key_length]
        forms = self._forms.get(key, ())
        if form not in forms:
            self._forms[key] = tuple(sorted((*forms, form)))

    def remove(self, form: bytes) -> None:
        """Stop finding this string."""
        key = form[: self._key_length]
        left = tuple(one for one in self._forms.get(key, ()) if one != form)
        if left:
            self._forms[key] = left
        else:
            self._forms.pop(key, None)

    def spans(self, data: bytes, *, cut: bool) -> Iterator[Span]:
        """Where the strings are in the data; if it was cut, also the beginning of a string at its end."""
        length, forms = self._key_length, self._forms
        for at in [at for at in range(len(data) - length + 1) if data[at : at + length] in forms]:
            size = _length_at(forms.get(data[at : at + length], ()), data, at, cut=cut)
            if size:
                yield at, at + size


def _length_at(forms: tuple[bytes, ...], data: bytes, at: int, *, cut: bool) -> int:
    """The length of the longest of the sorted forms at this place of the data; 0 if there is none."""
    text = data[at : at + max(map(len, forms), default=0)] if len(forms) < _FEW else data[at : at + _LONGEST]
    if cut and at + len(text) == len(data):
        after = bisect_left(forms, text)
        if after < len(forms) and forms[after].startswith(text):
            return len(text)
    # A form that is a prefix of the text sorts before the text, and everything between them has the same prefix.
    while (before := bisect_right(forms, text)) > 0:
        nearest = forms[before - 1]
        if text.startswith(nearest):
            return len(nearest)
        text = text[: _in_common(nearest, text)]
    return 0


def _in_common(one: bytes, other: bytes) -> int:
    """The length of the common prefix of two strings."""
    sizes = range(1, min(len(one), len(other)) + 1)
    return bisect_left(sizes, 1, key=lambda size: one[:size] != other[:size])


def bitten(form: bytes, shortest: int) -> Iterator[bytes]:
    """A form, and what is left of it when decoding joins some characters of either end with other text."""
    for lost in range(_BITTEN + 1):
        if len(form) - lost >= shortest:
            yield form[lost:]
            yield form[: len(form) - lost]
