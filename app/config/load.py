"""Reads the configuration: file, environment and secret files into one document, and every fault at once.

Any key may be written as ``KEY_file``: the content of that file, stripped, is then the value of ``KEY``. A variable
such as ``TIDEWAITER__WORKER__LEASE_S`` overrides ``[worker] lease_s``. Relative paths, wherever they are written, start
at the folder of the configuration file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.config.errors import ConfigError
from app.config.faults import Fault
from app.config.keys import table_in
from app.config.origin import Origin, Source
from app.config.tables import Config
from app.toml_file import TomlError, parse, read_regular, read_text

PREFIX: Final = "TIDEWAITER__"
_FILE: Final = "_file"
_LARGEST_SECRET: Final = 65_536

_NAMED: Final[Mapping[str, type[BaseModel]]] = {
    name: found[0] for name, key in Config.model_fields.items() if (found := table_in(key)) is not None and found[1]
}
"""Tables of tables, whose second level is named by whoever writes them."""

_IN_PART: Final = "accounts"
"""Those of them that make sense in part: of others that are at fault nothing is left to look at."""

_Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A value as it was written; ``None`` stands for one whose fault has been told already."""

    value: object
    origin: Origin


_Layer: TypeAlias = dict[_Key, _Leaf]


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the configuration.

    Args:
        path: the TOML file; it must exist, and may be empty.
        environ: the environment, of which only ``TIDEWAITER__…`` counts, in upper or lower case.

    Raises:
        ConfigError: with every fault at once.
    """
    file = _file_layer(path)
    faults: list[Fault] = []
    environment = _environment_layer(environ, file, faults)
    leaves = _resolve(file, environment, path.absolute().parent, faults)
    document = _grow(leaves, faults)
    try:
        config = Config.model_validate(document, context={"folder": path.absolute().parent})
    except ValidationError as error:
        faults += _faults_of(error, leaves, path)
        rest = _rest_of(document, error, path.absolute().parent)
        # Without its own text, which would be noise, and without a context, which would keep the values alive.
        raise ConfigError(faults, rest and _remembering(rest, path, leaves)) from None
    config = _remembering(config, path, leaves)
    if faults:
        raise ConfigError(faults, config)
    return config


def _remembering(config: Config, path: Path, leaves: _Layer) -> Config:
    origins = {key: leaf.origin for key, leaf in leaves.items()}
    return config.remember(path, origins, tuple(_secrets_in(config, leaves)))


def _rest_of(document: dict[str, Any], error: ValidationError, folder: Path) -> Config | None:
    """The configuration without what is at fault: values, schedules, and accounts that lack a key."""
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        key = [str(name) for name in one["loc"] if name != "[key]"]
        is_whole = key[0] in _NAMED and key[0] != _IN_PART
        if is_whole or (key[0] in _NAMED and (one["type"] == "missing" or "[key]" in one["loc"])):
            key = key[:2]
        table: Any = document
        for name in key[:-1]:
            table = table.get(name, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict):
            table.pop(key[-1], None)
    try:
        return Config.model_validate(document, context={"folder": folder})
    except ValidationError:
        return None


def _secrets_in(config: Config, leaves: _Layer) -> Iterator[str]:
    yield from (str(leaf.value) for leaf in leaves.values() if leaf.origin.source is Source.SECRET_FILE)
    password = urlsplit(config.database.url).password
    if password:
        yield unquote(password)
    yield from config.database.keys
    yield from config.storage.options.secrets
    yield from (text for one in config.tokens.values() for text in (one.token, one.next_token) if text is not None)
    yield from (secret for one in config.notifications.values() for secret in one.secrets)


# --- file and environment ---------------------------------------------------------------------------------------------


def _file_layer(path: Path) -> _Layer:
    try:
        document = parse(read_text(path))
    except TomlError as error:
        raise ConfigError.of([Fault(str(path), error.place, error.reason)]) from None
    origin = Origin(Source.FILE, str(path))
    return {key: _Leaf(value, origin) for key, value in _leaves_of(document, ())}


def _leaves_of(table: Mapping[str, Any], above: _Key) -> Iterator[tuple[_Key, object]]:
    """Every value of a document with its key; a table without content counts as a value."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves_of(value, (*above, name))
        else:
            yield (*above, name), value


def _environment_layer(environ: Mapping[str, str], file: _Layer, faults: list[Fault]) -> _Layer:
    spelled = _spellings(file)
    layer: _Layer = {}
    for variable, value in sorted(environ.items()):
        if not variable.upper().startswith(PREFIX):
            continue
        names = tuple(variable[len(PREFIX) :].lower().split("__"))
        if not all(names):
            faults.append(Fault(variable, "", f"names no key; the form is {PREFIX}TABLE__KEY"))
            continue
        key = _as_spelled(names, spelled)
        if key in layer:
            faults.append(Fault(variable, ".".join(key), f"is given by {layer[key].origin.name} as well"))
        layer[key] = _Leaf(value, Origin(Source.ENVIRONMENT, variable))
    return layer


def _spellings(file: _Layer) -> dict[_Key, _Key]:
    """Every key of the file, tables included, by the way in which a variable can spell it: no case, no hyphens."""
    keys = {key[:depth] for key in file for depth in range(1, len(key) + 1)}
    folded = {tuple(name.lower().replace("-", "_") for name in key): key for key in keys}
    return folded | {key: key for key in keys}


def _as_spelled(names: _Key, spelled: Mapping[_Key, _Key]) -> _Key:
    """The key as the file spells it, as far down as the file has it."""
    for depth in range(len(names), 0, -1):
        above = spelled.get(names[:depth])
        if above is not None:
            return (*above, *names[depth:])
    return names


# --- one document -----------------------------------------------------------------------------------------------------


def _resolve(file: _Layer, environment: _Layer, folder: Path, faults: list[Fault]) -> _Layer:
    """The values that count: the environment's over the file's, and secret files read."""
    leaves: _Layer = {}
    # A secret file that is overridden is never opened: it need not exist where the environment gives another value.
    for layer in (environment, file):
        for key, leaf in layer.items():
            plain = _without_file(key)
            if plain != key and plain in layer:
                faults.append(Fault(leaf.origin.name, ".".join(key), f"is given beside {plain[-1]}; give one of them"))
            elif plain not in leaves:
                leaves[plain] = leaf if plain == key else _read_secret(key, leaf, folder, faults)
    return leaves


def _without_file(key: _Key) -> _Key:
    stem = key[-1].removesuffix(_FILE)
    return (*key[:-1], stem) if stem else key


def _read_secret(key: _Key, leaf: _Leaf, folder: Path, faults: list[Fault]) -> _Leaf:
    """The content of the file that a ``KEY_file`` names."""
    if not isinstance(leaf.value, str) or not leaf.value:
        faults.append(Fault(leaf.origin.name, ".".join(key), "must be the path of a file"))
        return _Leaf(None, leaf.origin)
    path = folder / leaf.value
    try:
        text = _content(path)
    except ValueError as error:
        faults.append(Fault(leaf.origin.name, ".".join(key), f"{path} {error}"))
        return _Leaf(None, leaf.origin)
    return _Leaf(text, Origin(Source.SECRET_FILE, str(path)))


def _content(path: Path) -> str:
    """The stripped text of a file; a ValueError says what is wrong with it, and nothing of what is in it."""
    content = read_regular(path, _LARGEST_SECRET)
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if not text:
        raise ValueError("is empty")
    return text


def _grow(leaves: _Layer, faults: list[Fault]) -> dict[str, Any]:
    """The document that the values make; every table of the first level is there, so that its defaults apply."""
    document: dict[str, Any] = {name: {} for name in Config.model_fields}
    for key, leaf in sorted(leaves.items()):
        table: Any = document
        for name in key[:-1]:
            table = table.setdefault(name, {}) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            faults.append(Fault(leaf.origin.name, ".".join(key), "is written below a value, not in a table"))
        elif not (leaf.value == {} and key[-1] in table):
            table[key[-1]] = leaf.value
    return document


# --- telling what is wrong --------------------------------------------------------------------------------------------

_REASONS: Final[Mapping[str, str]] = {
    "missing": "is required",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "string_too_short": "must not be empty",
    "path_type": "must be a path in quotes",
    "tuple_type": "must be an array of paths",
    "model_type": "must be a table",
    "mapping_type": "must be a table",
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
}


def _faults_of(error: ValidationError, leaves: _Layer, path: Path) -> Iterator[Fault]:
    told = {key for key, leaf in leaves.items() if leaf.value is None}
    for one in error.errors(include_url=False, include_input=False):
        key = tuple(str(name) for name in one["loc"] if name != "[key]")
        if key not in told:
            yield Fault(_written_at(key, leaves, path), ".".join(key), _reason(one, key))


def _reason(error: ErrorDetails, key: _Key) -> str:
    """Why a value is wrong, in the words of whoever writes the file."""
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            known = _keys_beside(key)
            close = get_close_matches(key[-1], known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            return f"is no known key; {hint}"
        case "value_error":
            return str(context["error"])
        case kind:
            return _REASONS[kind].format(**context) if kind in _REASONS else error["msg"]


def _keys_beside(key: _Key) -> list[str]:
    """The keys that there are in the table in which an unknown key stands."""
    table: type[BaseModel] = Config
    path = [key[0], *key[2:-1]] if key[0] in _NAMED else list(key[:-1])
    for name in path:
        annotation = _NAMED.get(name) or table.model_fields[name].annotation
        table = annotation if isinstance(annotation, type) else table
    return sorted(table.model_fields)


def _written_at(key: _Key, leaves: _Layer, path: Path) -> str:
    """The file or variable that a fault points at: where the value was written, or else anything in its table."""
    inside = (leaf for written, leaf in sorted(leaves.items()) if written[: len(key)] == key)
    leaf = leaves.get(key) or next(inside, None)
    return str(path) if leaf is None else leaf.origin.name
