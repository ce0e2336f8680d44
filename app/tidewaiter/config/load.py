"""Reads the configuration: file, environment and secret files become one document, and every fault is found at once.

Any key may be written as ``KEY_file``: the content of that file, stripped, is then the value of ``KEY``. A variable
such as ``TIDEWAITER__WORKER__LEASE_S`` overrides ``[worker] lease_s``. Relative paths, wherever they are written, start
at the folder of the configuration file.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tidewaiter.config.config_tables import Config
from tidewaiter.config.origins import ConfigFault, ValueOrigin, ValueSource
from tidewaiter.config.table_keys import is_secret, table_in
from tidewaiter.toml_file import TomlError, parse, read_regular, read_text
from tidewaiter.toml_table import VariableText
from tidewaiter.transport.proxies import ENVIRONMENT, VARIABLES, Proxies


class ConfigError(Exception):
    """The configuration cannot be used; ``faults`` is all that is wrong with it, ``str()`` a line for each.

    ``rest`` is the configuration without what is wrong, if that is still a configuration. Other packages check it
    for further faults, so that a person sees all faults at once.
    """

    def __init__(self, faults: Iterable[ConfigFault], rest: Config | None = None) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        self.rest = rest
        super().__init__("\n".join(map(str, self.faults)))

    @classmethod
    def of(cls, faults: Iterable[ConfigFault]) -> Self:
        """The error for faults that were found outside ``load``, such as a provider's in its settings."""
        return cls(faults)

    def with_faults(self, others: Iterable[ConfigFault]) -> Self:
        """The error with more faults that were found in ``rest``; for each key only the first fault counts."""
        known = {fault.key.removesuffix("_file") for fault in self.faults}
        return type(self)([*self.faults, *(fault for fault in others if fault.key not in known)])


PREFIX: Final = "TIDEWAITER__"
_FILE: Final = "_file"
_LARGEST_SECRET: Final = 65_536
_PATHS: Final = frozenset({("network", "ca_file")})
"""Keys that end so, but hold the path itself."""

_NAMED: Final[Mapping[str, type[BaseModel]]] = {
    name: found[0] for name, key in Config.model_fields.items() if (found := table_in(key)) is not None and found[1]
}
"""Tables of tables: the keys of their second level are names that the operator gives."""

_IN_PART: Final = "accounts"
"""The one of them that is checked further without its faulty keys; a faulty entry of the others is left out."""

_Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as it was written; ``None`` for a value whose fault is reported already."""

    value: object
    origin: ValueOrigin


_Layer: TypeAlias = dict[_Key, _Value]


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the configuration.

    Args:
        path: the TOML file; it must exist, and may be empty.
        environ: the environment, of which only ``TIDEWAITER__…`` counts, in upper or lower case, and the variables of
            proxies if the configuration asks for them.

    Raises:
        ConfigError: with every fault at once.
    """
    file = _file_layer(path)
    faults: list[ConfigFault] = []
    environment = _environment_layer(environ, file, faults)
    leaves = _resolve(file, environment, path.absolute().parent, faults)
    document = _document_of(leaves, faults)
    try:
        config = Config.model_validate(document, context={"folder": path.absolute().parent})
    except ValidationError as error:
        faults += _faults_of(error, leaves, path)
        rest = _rest_of(document, error, path.absolute().parent)
        # `from None`: the text would only repeat the faults, and the context would keep the values in memory.
        raise ConfigError(faults, rest and _with_origins(rest, path, leaves, environ)) from None
    config = _with_origins(config, path, leaves, environ)
    if faults:
        raise ConfigError(faults, config)
    return config


def _with_origins(config: Config, path: Path, leaves: _Layer, environ: Mapping[str, str]) -> Config:
    origins = {key: leaf.origin for key, leaf in leaves.items()}
    proxies = {name: value for name, value in environ.items() if name.upper() in VARIABLES}
    return config.remember(path, origins, tuple(_secrets_in(config, leaves, proxies)), proxies)


def _rest_of(document: dict[str, Any], error: ValidationError, folder: Path) -> Config | None:
    """The configuration without its faulty parts: values, schedules, and accounts that lack a key."""
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


def _secrets_in(config: Config, leaves: _Layer, environ: Mapping[str, str]) -> Iterator[str]:
    yield from (str(leaf.value) for leaf in leaves.values() if leaf.origin.source is ValueSource.SECRET_FILE)
    password = urlsplit(config.database.url).password
    if password:
        yield unquote(password)
    yield from config.database.keys
    yield from config.storage.options.secrets
    if config.network.proxy_password is not None:
        yield config.network.proxy_password
    elif config.network.proxy == ENVIRONMENT:
        with suppress(ValueError):  # reported by the checks of a start
            yield from Proxies.of_environment(environ).secrets
    yield from (text for one in config.tokens.values() for text in (one.token, one.next_token) if text is not None)
    yield from (secret for one in config.notifications.values() for secret in one.secrets)


# --- file and environment ---------------------------------------------------------------------------------------------


def _file_layer(path: Path) -> _Layer:
    try:
        document = parse(read_text(path))
    except TomlError as error:
        raise ConfigError.of([ConfigFault(str(path), error.place, error.reason)]) from None
    origin = ValueOrigin(ValueSource.FILE, str(path))
    return {key: _Value(value, origin) for key, value in _leaves_of(document, ())}


def _leaves_of(table: Mapping[str, Any], above: _Key) -> Iterator[tuple[_Key, object]]:
    """Every value of a document with its key; a table without content counts as a value."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves_of(value, (*above, name))
        else:
            yield (*above, name), value


def _environment_layer(environ: Mapping[str, str], file: _Layer, faults: list[ConfigFault]) -> _Layer:
    spelled = _spellings(file)
    layer: _Layer = {}
    for variable, value in sorted(environ.items()):
        if not variable.upper().startswith(PREFIX):
            continue
        names = tuple(variable[len(PREFIX) :].lower().split("__"))
        if not all(names):
            faults.append(ConfigFault(variable, "", f"names no key; the form is {PREFIX}TABLE__KEY"))
            continue
        key = _as_spelled(names, spelled)
        if key in layer:
            faults.append(ConfigFault(variable, ".".join(key), f"is also given by {layer[key].origin.name}"))
        layer[key] = _Value(VariableText(value), ValueOrigin(ValueSource.ENVIRONMENT, variable))
    return layer


def _spellings(file: _Layer) -> dict[_Key, _Key]:
    """Every key of the file, tables included, by its spelling in a variable: no case, no hyphens."""
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


def _resolve(file: _Layer, environment: _Layer, folder: Path, faults: list[ConfigFault]) -> _Layer:
    """The values that count: the environment overrides the file, and secret files are read."""
    leaves: _Layer = {}
    # A secret file that is overridden is never opened: it need not exist where the environment gives another value.
    for layer in (environment, file):
        for key, leaf in layer.items():
            plain = _without_file(key)
            if plain != key and plain in layer:
                faults.append(
                    ConfigFault(
                        leaf.origin.name, ".".join(key), f"is given together with {plain[-1]}; give one of them"
                    )
                )
            elif plain not in leaves:
                leaves[plain] = leaf if plain == key else _read_secret(key, leaf, folder, faults)
    return leaves


def _without_file(key: _Key) -> _Key:
    if key in _PATHS:
        return key
    stem = key[-1].removesuffix(_FILE)
    return (*key[:-1], stem) if stem else key


def _read_secret(key: _Key, leaf: _Value, folder: Path, faults: list[ConfigFault]) -> _Value:
    """The content of the file that a ``KEY_file`` names."""
    if not isinstance(leaf.value, str) or not leaf.value:
        faults.append(ConfigFault(leaf.origin.name, ".".join(key), "must be the path of a file"))
        return _Value(None, leaf.origin)
    path = folder / leaf.value
    try:
        text = _content(path)
    except ValueError as error:
        faults.append(ConfigFault(leaf.origin.name, ".".join(key), f"{path} {error}"))
        return _Value(None, leaf.origin)
    return _Value(VariableText(text), ValueOrigin(ValueSource.SECRET_FILE, str(path)))


def _content(path: Path) -> str:
    """The stripped text of a file; a ValueError says what is wrong with it, but never quotes its content."""
    content = read_regular(path, _LARGEST_SECRET)
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if not text:
        raise ValueError("is empty")
    return text


def _document_of(leaves: _Layer, faults: list[ConfigFault]) -> dict[str, Any]:
    """The document made of the values; it has every table of the first level, so that their defaults apply."""
    document: dict[str, Any] = {name: {} for name in Config.model_fields}
    for key, leaf in sorted(leaves.items()):
        table: Any = document
        for name in key[:-1]:
            table = table.setdefault(name, {}) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            faults.append(ConfigFault(leaf.origin.name, ".".join(key), "is written below a value, not in a table"))
        elif not (leaf.value == {} and key[-1] in table):
            table[key[-1]] = leaf.value
    return document


# --- what is wrong ----------------------------------------------------------------------------------------------------

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


def _faults_of(error: ValidationError, leaves: _Layer, path: Path) -> Iterator[ConfigFault]:
    reported = {key for key, leaf in leaves.items() if leaf.value is None}
    for one in error.errors(include_url=False, include_input=False):
        key = tuple(str(name) for name in one["loc"] if name != "[key]")
        if key not in reported:
            yield ConfigFault(_written_at(key, leaves, path), ".".join(key), _reason(one, key))


def _reason(error: ErrorDetails, key: _Key) -> str:
    """Why a value is wrong, in the words of a configuration file."""
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            known = _keys_beside(key)
            close = get_close_matches(key[-1], known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            return f"is no known key; {hint}"
        case "value_error":
            return str(context["error"])
        case "missing" if (field := _table_of(key).model_fields.get(key[-1])) is not None and is_secret(field):
            return f"is required; {key[-1]}{_FILE} names a file that has it"
        case kind:
            return _REASONS[kind].format(**context) if kind in _REASONS else error["msg"]


def _keys_beside(key: _Key) -> list[str]:
    """The known keys of the table that has an unknown one."""
    return sorted(_table_of(key).model_fields)


def _table_of(key: _Key) -> type[BaseModel]:
    """The table that has this key, or would have it."""
    table: type[BaseModel] = Config
    path = [key[0], *key[2:-1]] if key[0] in _NAMED else list(key[:-1])
    for name in path:
        annotation = _NAMED.get(name) or table.model_fields[name].annotation
        table = annotation if isinstance(annotation, type) else table
    return table


def _written_at(key: _Key, leaves: _Layer, path: Path) -> str:
    """The file or variable that a fault points at: where the value, or else something of its table, was written."""
    inside = (leaf for written, leaf in sorted(leaves.items()) if written[: len(key)] == key)
    leaf = leaves.get(key) or next(inside, None)
    return str(path) if leaf is None else leaf.origin.name
