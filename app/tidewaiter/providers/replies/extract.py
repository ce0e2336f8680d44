"""Extraction of one value from a reply: from its JSON, a header, its text or its status code."""

from collections.abc import Callable, Iterator, Sequence

from tidewaiter.domain.http_values import Json, field_values
from tidewaiter.patterns import Pattern, compile_pattern
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_headers import link_target
from tidewaiter.providers.spec.field_types import PickSpec
from tidewaiter.providers.values.jmespath_expressions import compile_expression
from tidewaiter.providers.values.texts import LONGEST_TEXT, as_text

Pick = Callable[[Reading], Json]

_SINGLE = frozenset({
    "age", "content-length", "content-location", "content-range", "content-type", "date", "etag", "expires",
    "last-modified", "location", "retry-after", "set-cookie",
})  # fmt: skip
"""Fields that have one value: a list of them would mean nothing (RFC 9110, section 5.3; RFC 6265, section 3)."""

# Curly quotation marks in another encoding become replacement characters.
_AROUND = (
    " \t\r\n\v\f\u00a0\u2028\u2029\u200b\ufeff\ufffd\"'`"
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a"
)


def compile_pick(specs: Sequence[PickSpec]) -> Pick:
    """The function that reads a value from a reply: with the first spec that finds one.

    It returns ``None`` if nothing was found; blank text counts as nothing.
    """
    picks = tuple(_compile_one(spec) for spec in specs)
    if len(picks) == 1:
        return picks[0]

    def pick(reading: Reading) -> Json:
        return next((value for one in picks if (value := one(reading)) is not None), None)

    return pick


def _compile_one(spec: PickSpec) -> Pick:
    source = _stripped_of_marks(_source(spec)) if spec.bare else _source(spec)
    if spec.regex is None:
        picked = source
    elif spec.header is not None and spec.rel is None:
        picked = _matched_in_header(spec.header.lower(), compile_pattern(spec.regex), strip_marks if spec.bare else str)
    else:
        picked = _narrowed(source, compile_pattern(spec.regex))
    return _without_blank(picked if spec.excludes is None else _excluding(picked, compile_pattern(spec.excludes)))


def _source(spec: PickSpec) -> Pick:
    if spec.expression is not None:
        search = compile_expression(spec.expression)
        return lambda reading: search(reading.document())
    if spec.header is not None:
        return _in_header(spec.header.lower(), spec.rel)
    if spec.text is not None:
        pattern = compile_pattern(spec.text)
        clean = strip_marks if spec.bare else str
        return lambda reading: pattern.first_group(clean(reading.text()))
    return lambda reading: reading.status


def _narrowed(pick: Pick, pattern: Pattern) -> Pick:
    """The part of a value that a regex matches, in the first 64 KiB."""

    def narrowed(reading: Reading) -> Json:
        value = pick(reading)
        return None if value is None else pattern.first_group((as_text(value) or "")[:LONGEST_TEXT])

    return narrowed


def _excluding(pick: Pick, excluded: Pattern) -> Pick:
    """A value, unless the whole value matches ``excluded``."""

    def found(reading: Reading) -> Json:
        value = pick(reading)
        text = as_text(value)
        return None if text is not None and excluded.matches(text[:LONGEST_TEXT].strip()) else value

    return found


def header_of(reading: Reading, name: str) -> str | None:
    """A header field as one value: repeated fields joined by commas, but the first of a field that has one value.

    The same value several times counts once.

    Source: RFC 9110, section 5.3.
    """
    values = list(dict.fromkeys(value for value in field_values(reading.headers, name) if value.strip()))
    return None if not values else values[0] if name in _SINGLE else ", ".join(values)


def header_values(reading: Reading, name: str) -> Iterator[str]:
    """The texts for a regex on a header: every value by itself, then all of them joined by commas."""
    values = field_values(reading.headers, name)
    yield from values
    if len(values) > 1:
        yield ", ".join(values)


def _in_header(name: str, relation: str | None) -> Pick:
    if relation is None:
        return lambda reading: header_of(reading, name)
    return lambda reading: link_target(field_values(reading.headers, name), relation, reading.url)


def _matched_in_header(name: str, pattern: Pattern, clean: Callable[[str], str]) -> Pick:
    def matched(reading: Reading) -> Json:
        found = (pattern.first_group(clean(value[:LONGEST_TEXT])) for value in header_values(reading, name))
        return next((part for part in found if part is not None), None)

    return matched


def _stripped_of_marks(pick: Pick) -> Pick:
    def found(reading: Reading) -> Json:
        value = pick(reading)
        return strip_marks(value) if isinstance(value, str) else value

    return found


def strip_marks(text: str) -> str:
    """A text without surrounding byte order mark, spaces and quotation marks of any kind."""
    return text.strip(_AROUND)


def _without_blank(pick: Pick) -> Pick:
    def found(reading: Reading) -> Json:
        value = pick(reading)
        return None if isinstance(value, str) and not value.strip() else value

    return found
