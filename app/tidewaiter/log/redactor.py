"""Removes secrets from text: every value that is known to be one, and everything that looks like one.

A known secret is found as it is. If it has eight characters or more, it is also found percent-encoded (in part, or
twice), with HTML entities, with the escapes of JSON, in hexadecimal, in Base64 of either alphabet at any offset, and
wrapped over lines. All of it takes time linear in the text.
"""

import base64
import html
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote, quote_plus

from tidewaiter.log.decoding import Layers, Span, decoded
from tidewaiter.log.secret_patterns import REDACTED, KnownSecrets, shortened_forms, without_credentials, without_queries

__all__ = ["LONGEST_TEXT", "REDACTED", "Redactor"]

LONGEST_TEXT: Final = 65_536
"""A text is cut to this many characters before it is searched."""
_SHORTEST_SECRET: Final = 4
_SHORTEST_ENCODED: Final = 8
_SHORTEST_BASE64: Final = 8
_CUT_MARGIN: Final = 64
"""Bytes removed at the end of a text that was cut: a secret may begin there, too short to be recognised."""
_DEEPEST: Final = 8
_MOST_RECENT: Final = 4096
_MOST_SIGNATURES: Final = 256
_LONGEST_KEPT: Final = 256
_MOST_KEPT: Final = 1024
_PIECE: Final = 256
_OVERLAP: Final = 16
# Base64 has two alphabets and hexadecimal two cases; folded to one case, both have one form.
_FOLDED: Final = bytes(range(256)).lower().translate(bytes.maketrans(b"-_", b"+/"))
_BLANKS: Final = b" \t\n\r\f\v"
_ESCAPE: Final = re.compile(rb"[%&\\]")


class Redactor:
    """Knows the current secrets. Clean a text before you shorten it: half a secret is not recognised.

    One thread adds secrets; any thread may clean at the same time.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._counts: Counter[str] = Counter()
        self._permanent: frozenset[str] = frozenset()
        self._temporary: dict[str, frozenset[str]] = {}
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._signatures: OrderedDict[str, None] = OrderedDict()
        self._short = KnownSecrets(_SHORTEST_SECRET)
        self._known = KnownSecrets(_SHORTEST_ENCODED)
        self._shared: Redactor | None = None
        # Short texts come again and again: the status and the progress of each poll. A change of the secrets begins a
        # new table, and a thread that still cleans with the secrets before writes into the table before.
        self._results: dict[tuple[str, bool, bool], str] = {}
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Remove these values from now on, except values of less than four characters, which occur everywhere."""
        new = frozenset(secrets) - self._permanent
        self._permanent |= new
        self._add_forms(new)
        if self._shared is not None:
            self._shared.add(new)

    def add_temporary(self, owner: str, secrets: Iterable[str]) -> None:
        """Remove these values until the same owner adds others: session tokens, which change again and again."""
        new, old = frozenset(secrets), self._temporary.get(owner, frozenset())
        self._temporary[owner] = new
        self._add_forms(new)
        self._remove_forms(old)

    def add_recent(self, secret: str) -> None:
        """Remove a value until some thousands of others were added: the token of a callback."""
        self._add_last(secret, self._recent, _MOST_RECENT)

    @contextmanager
    def holding(self, secrets: Iterable[str]) -> Iterator[None]:
        """Remove these values for as long as the block runs, and afterwards as :meth:`add_recent` does."""
        held = frozenset(secrets)
        self._add_forms(held)
        try:
            yield
        finally:
            for secret in held:
                self.add_recent(secret)
            self._remove_forms(held)

    def add_signature(self, signature: str) -> None:
        """Remove a value until some hundreds of others were added: the signature of a request, valid for minutes."""
        if self._shared is not None:
            self._shared.add_signature(signature)
        else:
            self._add_last(signature, self._signatures, _MOST_SIGNATURES)

    def _add_last(self, secret: str, group: OrderedDict[str, None], most: int) -> None:
        if secret not in group:
            group[secret] = None
            self._add_forms((secret,))
        group.move_to_end(secret)  # one that is used again is no old one
        while len(group) > most:
            self._remove_forms((group.popitem(last=False)[0],))

    def is_temporary(self, value: str) -> bool:
        """Whether a text is exactly one of the session tokens known now."""
        if self._shared is not None:
            return self._shared.is_temporary(value)
        return bool(value) and any(value in tokens for tokens in list(self._temporary.values()))

    def has_secret_in(self, text: str) -> bool:
        """Whether a permanent secret of this redactor occurs in a text as it is, if it has at least four characters."""
        return any(len(secret) >= _SHORTEST_SECRET and secret in text for secret in self._permanent)

    def join(self, shared: "Redactor") -> None:
        """Share secrets with ``shared`` in both directions: an account's redactor joins the one of the process."""
        if shared is not self:
            shared.add(self._permanent)
            self._shared = shared

    def clean(self, text: str, *, cut: bool = False) -> str:
        """The text with every secret replaced by ``[redacted]``; a text without secrets is returned as it is.

        Args:
            text: of any length; a text longer than ``LONGEST_TEXT`` is cut first.
            cut: whether it is the beginning of a longer text, so that a secret may be cut at its end.
        """
        return self._cleaned(text, cut=cut, queries=False)

    def clean_quote(self, text: str, *, cut: bool = False) -> str:
        """The same for text from a provider, in which the query of every URL is removed as well."""
        return self._cleaned(text, cut=cut, queries=True)

    def clean_value(self, value: object, depth: int = 0) -> object:
        """A log field with every text in it cleaned; values that JSON does not have become text first."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.clean(value)
            case bytes():
                return self.clean(value.decode(errors="replace"))
            case Mapping() if depth < _DEEPEST:
                return {self.clean(str(name)): self.clean_value(one, depth + 1) for name, one in value.items()}
            case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
                return [self.clean_value(one, depth + 1) for one in value]
            case _:
                return self.clean(str(value))

    def _cleaned(self, text: str, *, cut: bool, queries: bool) -> str:
        if self._shared is not None:
            return self._shared._cleaned(text, cut=cut, queries=queries)
        if len(text) > _LONGEST_KEPT:
            return self._searched(text, cut=cut, queries=queries)
        results, key = self._results, (text, cut, queries)
        clean = results.get(key)
        if clean is None:
            clean = self._searched(text, cut=cut, queries=queries)
            if len(results) >= _MOST_KEPT:
                results.clear()
            results[key] = clean
        return clean

    def _searched(self, text: str, *, cut: bool, queries: bool) -> str:
        shortened = len(text) > LONGEST_TEXT
        if shortened:
            text, cut = text[:LONGEST_TEXT], True
        data = text.encode("utf-8", "replace")
        clean = without_credentials(_without(data, self._spans(data, cut=cut)))
        if queries:
            clean = without_queries(clean)
        if cut:
            clean = clean[:-_CUT_MARGIN]
        if shortened:
            return f"{clean.decode('utf-8', 'replace')}…"
        return text if clean == data else clean.decode("utf-8", "replace")

    def _spans(self, data: bytes, *, cut: bool) -> list[Span]:
        """Where secrets are, in any encoding."""
        found = list(self._short.spans(data, cut=cut)) if self._short else []
        if not self._known or len(data) < _SHORTEST_ENCODED:
            return found
        if not _ESCAPE.search(data) and not self._occurs_in(data.translate(_FOLDED, _BLANKS), cut=cut):
            # Most texts have only blanks to decode, and no secret: this needs a fifth of the work.
            return [*found, *self._known.spans(data.translate(_FOLDED), cut=cut)]
        layers = Layers(data)
        for layer in layers:
            found += map(layers.origin, self._known.spans(layer.translate(_FOLDED), cut=cut))
        return found

    def _occurs_in(self, data: bytes, *, cut: bool) -> bool:
        return next(self._known.spans(data, cut=cut), None) is not None

    def _add_forms(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            self._counts[secret] += 1
            if self._counts[secret] == 1:
                for index, form in self._forms(secret):
                    index.add(form)
        self._results = {}

    def _remove_forms(self, secrets: Iterable[str]) -> None:
        gone = []
        for secret in secrets:
            self._counts[secret] -= 1
            if self._counts[secret] <= 0:
                del self._counts[secret]
                gone.append(secret)
        if not gone:
            return
        for secret in gone:
            for index, form in self._forms(secret):
                index.remove(form)
        # Two secrets may have a common form, for example if one is the end of the other.
        for secret in self._counts:
            for index, form in self._forms(secret) if any(secret in one or one in secret for one in gone) else ():
                index.add(form)
        self._results = {}

    def _forms(self, secret: str) -> Iterator[tuple[KnownSecrets, bytes]]:
        secret = secret.encode("utf-8", "replace").decode()
        if len(secret) < _SHORTEST_ENCODED:
            for form in _written(secret):
                yield self._short, form
            return
        for piece in _pieces(secret):
            for form in {*_written(piece), *_forms(piece.encode())}:
                yield self._known, form.translate(_FOLDED)


def _pieces(secret: str) -> Iterator[str]:
    """A secret, or overlapping pieces of a secret that is too long to be compared at every place."""
    if len(secret) <= 2 * _PIECE:
        yield secret
        return
    for start in range(0, len(secret) - _PIECE, _PIECE - _OVERLAP):
        yield secret[start : start + _PIECE]
    yield secret[-_PIECE:]


def _written(secret: str) -> set[bytes]:
    """A secret as it is, and as programs write it in URLs, JSON, Python and HTML."""
    quoted = (quote(secret, safe=""), quote(secret), quote_plus(secret))
    lower = (re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in quoted)
    in_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    every = {secret, *quoted, *lower, *in_json, repr(secret)[1:-1], html.escape(secret)}
    return {one.encode() for one in every}


def _forms(secret: bytes) -> Iterator[bytes]:
    """The forms of a secret in a text that was decoded."""
    for plain in {decoded(secret), decoded(secret.replace(b" ", b"+"))}:
        yield from shortened_forms(plain, _SHORTEST_ENCODED)
    text = secret.decode()
    for written in {secret, quote(text, safe="").encode(), json.dumps(text)[1:-1].encode()}:
        yield from _inside_base64(written)
        yield written.hex().encode()


def _inside_base64(secret: bytes) -> Iterator[bytes]:
    """What the Base64 of any text with the secret contains, at any offset of the secret."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).rstrip(b"=")
        first = (0, 2, 3)[before]
        last = len(encoded) - (1 if (before + len(secret)) % 3 else 0)
        if last - first >= _SHORTEST_BASE64:
            yield encoded[first:last]


def _without(data: bytes, spans: Sequence[Span]) -> bytes:
    """The data with every span replaced; spans that touch become one."""
    pieces: list[bytes] = []
    end = 0
    for start, stop in sorted(spans):
        if start > end or not pieces:
            pieces += (data[end:start], REDACTED.encode())
        end = max(end, stop)
    return b"".join((*pieces, data[end:])) if pieces else data
