"""Header fields that a reply names beside the link to a file, such as the ``http_headers`` of Databricks."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeAlias

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.spec.field_types import CONNECTION_HEADERS
from tidewaiter.providers.spec.results_spec import OF_THE_DOWNLOAD
from tidewaiter.providers.values.jmespath_expressions import compile_expression
from tidewaiter.providers.values.texts import as_text

NamedHeaders: TypeAlias = tuple[tuple[str, str], ...]

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_MOST: Final = 32
_MOST_CHARACTERS: Final = 8192
_SHORTEST_SECRET: Final = 12
_MOST_TEXTS: Final = 100
_OURS: Final = CONNECTION_HEADERS | OF_THE_DOWNLOAD | {"cookie"}


def compile_named_headers(expression: str | None) -> Callable[[Json], NamedHeaders | str]:
    """The function that reads the fields of an item, or says why they cannot be sent, as the end of a sentence.

    Fields that a download sets itself are left out, because a reply may name all that were signed, such as Host.
    """
    if expression is None:
        return lambda _item: ()
    search = compile_expression(expression)
    return lambda item: _checked(search(item))


def _checked(found: Json) -> NamedHeaders | str:
    if found is None:
        return ()
    if not isinstance(found, Mapping):
        return "with header fields that are no object of names and values"
    named: dict[str, tuple[str, str]] = {}
    for name, value in found.items():
        if value is None or name.lower() in _OURS or name.lower().startswith("proxy-"):
            continue
        text = as_text(value)
        if text is None or _NAME.fullmatch(name) is None or _VALUE.fullmatch(text) is None:
            return "with a header field that cannot be sent: a name, or a value, that HTTP does not permit"
        if name.lower() in named:
            return "with a header field that is named twice"
        named[name.lower()] = (name, text.strip())
    if len(named) > _MOST:
        return f"with more than {_MOST} header fields"
    if sum(len(name) + len(value) for name, value in named.values()) > _MOST_CHARACTERS:
        return f"with more than {_MOST_CHARACTERS} characters of header fields"
    return tuple(named.values())


def compile_named_secrets(expression: str | None) -> Callable[[Json], Iterator[str]]:
    """The function that finds what may be secret in the fields of an item, also if they cannot be sent."""
    if expression is None:
        return lambda _item: iter(())
    search = compile_expression(expression)
    return lambda item: (text for text in islice(_texts(search(item)), _MOST_TEXTS) if len(text) >= _SHORTEST_SECRET)


def _texts(tree: Json) -> Iterator[str]:
    """Every text in what should be an object of names and values."""
    left = [tree]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def secrets_of(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The values of named fields that may be secrets: all that are not short."""
    return (value for _, value in named if len(value) >= _SHORTEST_SECRET)
