"""The query of an address, changed without touching the rest of it."""

from collections.abc import Collection, Sequence
from urllib.parse import quote, unquote_plus


def without_names(url: str, names: Collection[str]) -> str:
    """``url`` without the pairs of its query that have these names, and without a fragment; the rest is unchanged."""
    address, _, _ = url.partition("#")
    before, mark, query = address.partition("?")
    if not names or not query:
        return address
    pairs = query.split("&")
    kept = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]) not in names]
    return address if len(kept) == len(pairs) else f"{before}{mark if kept else ''}{'&'.join(kept)}"


def with_pairs(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    """``url``, which has no fragment, with these pairs at the end of its query, percent-encoded."""
    if not pairs:
        return url
    more = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)
    joint = "" if url.endswith("?") else "&" if "?" in url else "?"
    return f"{url}{joint}{more}"


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")
