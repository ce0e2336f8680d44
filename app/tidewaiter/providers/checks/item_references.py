"""References to the values of items: which lists a spec has, and what the texts of each may refer to."""

from collections.abc import Collection, Iterator

from tidewaiter.providers.checks.spec_trees import Tree, table_of, variants_of
from tidewaiter.providers.values.template import Reference, refers_to

_TEXTS = ("url", "query", "headers", "json", "form", "text")


def item_reason(reference: Reference, items: Collection[str] | None) -> str | None:
    """Why a reference to a value of an item is not permitted; ``items`` are their names, ``None`` without a list."""
    if items is None:
        return f"refers to {reference}, but here is no item of a list"
    if reference.name in items:
        return None
    there = ", ".join(sorted(items)) or "none"
    return f"refers to {reference}, but values picks no such value from the items above (there are: {there})"


def lists_of(results: Tree, key: str) -> Iterator[tuple[str, Tree, frozenset[str]]]:
    """The lists that lead to files: key, table, and the names of the values of the items above."""
    above: frozenset[str] = frozenset()
    for at, one in variants_of(results.get("lists"), f"{key}.lists"):
        yield at, one, above
        above |= frozenset(table_of(one.get("values")))


def downloads_of(results: Tree, key: str) -> Iterator[tuple[str, Tree, frozenset[str]]]:
    """The requests for the files of lists: key, table, and the names of the values of their items."""
    above = frozenset(name for _, one, _ in lists_of(results, key) for name in table_of(one.get("values")))
    for at, files in variants_of(results.get("files"), f"{key}.files"):
        yield f"{at}.download", table_of(files.get("download")), above | frozenset(table_of(files.get("values")))


def same_lists(results: Tree, key: str) -> Iterator[tuple[str, str]]:
    """The faults of lists whose request is the same for every item of the list above."""
    for number, (at, one, _) in enumerate(lists_of(results, key)):
        if number and not any(refers_to(one.get(name), {"item"}) for name in _TEXTS):
            yield at, "is the same request for every item of the list above: refer to ${item.NAME}, a value of the item"
