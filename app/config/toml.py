"""Values as TOML spells them (https://toml.io/en/v1.0.0), for the files that Tidewaiter writes."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
