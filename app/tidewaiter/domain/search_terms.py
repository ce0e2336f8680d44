"""The terms by which a job is found: its parameters, its labels, and the names of its files.

A term is stored as a number, so that a long value costs no more than a short one and the index stays small.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.secret_params import MASK

MOST_TERMS: Final = 64
"""The terms of one job beyond this number are not stored."""
_LONGEST_VALUE: Final = 1_000


def parameter_terms(params: Mapping[str, Json], labels: Mapping[str, str]) -> frozenset[int]:
    """The terms of a new job: ``name=value`` for each parameter and label.

    A nested parameter has a dotted name, as in ``filter.from=2026-01-01``; each member of a list counts on its own.
    A secret parameter, shown as ``***``, has no term.
    """
    texts: list[str] = [f"l:{name}={value}" for name, value in labels.items()]
    for path, value in _values("", dict(params)):
        if len(texts) >= MOST_TERMS:
            break
        if len(value) <= _LONGEST_VALUE and value != MASK:
            texts.append(f"p:{path}={value}")
    return frozenset(map(_number, texts))


def label_term(name: str, value: str) -> int:
    """The term of the jobs with a label."""
    return _number(f"l:{name}={value}")


def file_term(name: str) -> int:
    """The term of the jobs that have landed a file of this name."""
    return _number(f"f:{name}")


def searched_terms(text: str) -> frozenset[int]:
    """The terms that a person may mean by a text: a file's name; ``name=value`` of a parameter or a label."""
    # The names of landed files are in NFC; a text that was copied from macOS's Finder is not.
    meanings = [f"f:{unicodedata.normalize('NFC', text)}"]
    if "=" in text:
        meanings += [f"p:{text}", f"l:{text}"]
    return frozenset(map(_number, meanings))


def _values(path: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _values(f"{path}.{name}" if path else name, one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _values(path, one)
    elif isinstance(value, str):
        yield path, value
    elif value is not None:
        yield path, json.dumps(value)


def _number(text: str) -> int:
    """The first eight bytes of the SHA-256, as both databases' signed numbers."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8], "big", signed=True)
