"""Every table and key, as the models describe them, and how keys and values are written in TOML.

Sample, reference and schema are made from this.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tidewaiter.config.config_tables import Config

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(*names: str) -> str:
    """A dotted key, its parts quoted where they must be."""
    return ".".join(name if _BARE_KEY.fullmatch(name) else toml_value(name) for name in names)


def toml_value(value: object) -> str:
    """A value on one line.

    Raises:
        TypeError: TOML has no such value; ``None`` is an example.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case str() | Path():
            # A basic string has the escapes of JSON, and must escape DEL as well.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case Mapping():
            pairs = ", ".join(f"{toml_key(str(name))} = {toml_value(one)}" for name, one in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case _:
            raise TypeError(f"{type(value).__name__} cannot be written in TOML")


NAME: Final = "NAME"
"""Stands in a table's path for the name that an operator gives."""

_OWN_PATH: Final = re.compile(r"^``\[[^\]]+\]``[^:]*: ")


@dataclass(frozen=True, slots=True)
class TableKeys:
    """A table: its path, in which :data:`NAME` stands for a name, what it is for, and its keys."""

    path: tuple[str, ...]
    purpose: str
    keys: Mapping[str, FieldInfo]

    @property
    def title(self) -> str:
        """The table's header, as in ``[accounts.NAME.limits]``."""
        return f"[{'.'.join(self.path)}]"


def every_table(model: type[BaseModel] = Config, path: tuple[str, ...] = ()) -> Iterator[TableKeys]:
    """The tables of the configuration, in the order of the sample file."""
    inner = {name: found for name, key in model.model_fields.items() if (found := table_in(key)) is not None}
    keys = {name: key for name, key in model.model_fields.items() if name not in inner}
    if path:
        yield TableKeys(path, purpose_of(model), keys)
    for name, (table, is_named) in inner.items():
        yield from every_table(table, (*path, name, NAME) if is_named else (*path, name))


def table_in(key: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """The table under a key, and whether it is one of several that an operator names; ``None`` for a value."""
    is_union = get_origin(key.annotation) in (Union, UnionType)
    for annotation in get_args(key.annotation) if is_union else (key.annotation,):
        if _is_table(annotation):
            return annotation, False
        if get_origin(annotation) is Mapping and _is_table(get_args(annotation)[1]):
            return get_args(annotation)[1], True
    return None


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def purpose_of(model: type[BaseModel]) -> str:
    """What a table is for: the first sentence of its class, without the table's own name."""
    first_paragraph = " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())
    return _OWN_PATH.sub("", first_paragraph).replace("``", "`")


def is_secret(key: FieldInfo) -> bool:
    """Whether a key's value is never shown: what ``repr`` leaves out, no command prints."""
    return not key.repr
