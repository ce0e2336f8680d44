"""Parsed TOML that was not checked yet: its tables and texts, whatever else stands in their places."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Tree: TypeAlias = Mapping[str, Any]


def table_of(value: object) -> Tree:
    """The table; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def tables_of(value: object) -> dict[str, Tree]:
    """The members of a table that are tables."""
    return {name: one for name, one in table_of(value).items() if isinstance(one, Mapping)}


def variants_of(value: object, key: str) -> Iterator[tuple[str, Tree]]:
    """A table, or the tables of a list, each with its key."""
    if isinstance(value, list):
        yield from ((f"{key}[{number}]", one) for number, one in enumerate(value) if isinstance(one, Mapping))
    elif isinstance(value, Mapping):
        yield key, value


def texts_in(tree: object, key: str) -> Iterator[tuple[str, str]]:
    """Every text in a tree, with its key."""
    if isinstance(tree, str):
        yield key, tree
    elif isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from texts_in(value, f"{key}.{name}")
    elif isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from texts_in(item, f"{key}[{number}]")
