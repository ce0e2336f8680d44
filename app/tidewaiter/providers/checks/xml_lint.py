"""A check of specs whose replies are XML: what is read as a list must be one, also if it has a single item.

One element alone is no array, so ``each`` or ``items`` would miss it: a job would land without its only file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from tidewaiter.providers.errors import SpecFault

Tree: TypeAlias = Mapping[str, Any]

_PATH = re.compile(r'(?:.*\.)?"?([\w-]+)"?\."?([\w-]+)"?(?:\[\*?\])?', re.DOTALL)


def check_xml_lists(file: str, raw: Tree) -> list[SpecFault]:
    """The faults of every ``each`` and ``items`` that reads an element of XML which is not in ``lists``."""
    operations = raw.get("operations")
    every: list[tuple[str, str]] = []
    for name, operation in operations.items() if isinstance(operations, Mapping) else ():
        if isinstance(operation, Mapping):
            at, form = f"operations.{name}", operation.get("reply", raw.get("reply"))
            for key, table in _variants(operation.get("adopt"), f"{at}.adopt"):
                every += _items(table, key, form)
            for key, table in _variants(operation.get("results"), f"{at}.results"):
                every += _items(table.get("pages"), f"{key}.pages", form)
                for where, files in _variants(table.get("files"), f"{key}.files"):
                    every += _unlisted(files.get("each"), f"{where}.each", form)
    return [SpecFault(file, key, reason) for key, reason in every]


def _items(table: object, key: str, form: object) -> Iterator[tuple[str, str]]:
    if isinstance(table, Mapping):
        yield from _unlisted(table.get("items"), f"{key}.items", table.get("reply", form))


def _unlisted(expression: object, key: str, form: object) -> Iterator[tuple[str, str]]:
    table = form if isinstance(form, Mapping) else {"format": form}
    found = _PATH.fullmatch(expression) if isinstance(expression, str) else None
    if table.get("format") != "xml" or found is None:
        return
    needed, lists = f"{found[1]}.{found[2]}", table.get("lists", [])
    if isinstance(lists, list) and needed not in lists:
        yield (
            key,
            f'reads an element of XML that is an array only if it comes twice: add "{needed}" to reply.lists, '
            'as in reply = { format = "xml", lists = ["' + needed + '"] }',
        )


def _variants(value: object, key: str) -> Iterator[tuple[str, Tree]]:
    if isinstance(value, list):
        yield from ((f"{key}[{number}]", one) for number, one in enumerate(value) if isinstance(one, Mapping))
    elif isinstance(value, Mapping):
        yield key, value
