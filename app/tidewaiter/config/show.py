"""The values in use, from file, environment, secret files and defaults, without secrets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tidewaiter.config.config_tables import Config
from tidewaiter.config.origins import ValueOrigin, ValueSource
from tidewaiter.config.table_keys import is_secret, table_in, toml_key, toml_value
from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.providers.spec.value_spec import SettingSpec

HIDDEN: Final = "[redacted]"
_DATABASE: Final = ("database", "url")
_ORIGIN_COLUMN: Final = 48
_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class Shown:
    """A value in use: ``None`` where there is none, :data:`HIDDEN` where it is secret."""

    key: tuple[str, ...]
    value: object
    origin: ValueOrigin
    hidden: bool = False


def effective(
    config: Config, specs: Mapping[str, Mapping[str, SettingSpec]], clean: Callable[[str], str]
) -> Iterator[Shown]:
    """Every value of a configuration, table by table.

    Values from secret files are hidden, and so is every setting that its provider calls a secret or does not know.

    Args:
        config: the configuration.
        specs: the settings that each provider knows, by its name.
        clean: removes from a text what is known to be a secret, or looks like one.
    """
    for shown in _of_table(config, config, (), specs):
        if isinstance(shown.value, str) and not shown.hidden and shown.key != _DATABASE:
            yield Shown(shown.key, clean(shown.value), shown.origin)
        else:
            yield shown


def _of_table(
    config: Config, table: BaseModel, path: tuple[str, ...], specs: Mapping[str, Mapping[str, SettingSpec]]
) -> Iterator[Shown]:
    inner: list[tuple[tuple[str, ...], BaseModel]] = []
    for name, key in type(table).model_fields.items():
        value, found = getattr(table, name), table_in(key)
        if found is None:
            yield from _of_key(config, (*path, name), value, key, specs)
        elif not found[1]:
            inner.append(((*path, name), value))
        else:
            inner += [((*path, name, given), one) for given, one in value.items()]
    for inside, one in inner:
        yield from _of_table(config, one, inside, specs)


def _of_key(
    config: Config,
    key: tuple[str, ...],
    value: object,
    info: FieldInfo,
    specs: Mapping[str, Mapping[str, SettingSpec]],
) -> Iterator[Shown]:
    origin = config.origin_of(*key)
    match key:
        case ("accounts", account, "settings") if isinstance(value, Mapping):
            known = specs.get(config.accounts[account].provider, {})
            for name, one in value.items():
                shown = name in known and not known[name].secret
                yield _unless(not shown, (*key, name), one, config.origin_of(*key, name))
        case ("database", "url"):
            yield _unless(origin.source is ValueSource.SECRET_FILE, key, _without_password(str(value)), origin)
        case ("notifications", _, "url"):
            # The query often holds a key of the endpoint, under any name.
            address, mark, _query = str(value).partition("?")
            yield _unless(is_secret(info), key, f"{address}?{HIDDEN}" if mark else value, origin)
        case _ if isinstance(value, Mapping):
            for name, one in value.items():
                yield _unless(is_secret(info), (*key, name), one, config.origin_of(*key, name))
        case _:
            yield _unless(is_secret(info) and value is not None, key, value, origin)


def _unless(secret: bool, key: tuple[str, ...], value: object, origin: ValueOrigin) -> Shown:
    hidden = secret or origin.source is ValueSource.SECRET_FILE
    return Shown(key, HIDDEN if hidden else value, origin, hidden)


def _without_password(url: str) -> str:
    address = DatabaseAddress.parse(url)
    if address.file is not None:
        return url
    return address.url.set(query={}).render_as_string(hide_password=True)


def as_toml(values: Iterator[Shown], *, with_origin: bool) -> str:
    """The values as a configuration file, on request each with its origin."""
    lines: list[str] = []
    for table, inside in groupby(values, key=lambda shown: shown.key[:-1]):
        lines += ["", f"[{toml_key(*table)}]"]
        unset: list[str] = []
        for shown in inside:
            name = toml_key(shown.key[-1])
            if shown.value is None:
                unset.append(name)
                continue
            line = f"{name} = {toml_value(shown.value)}"
            lines.append(f"{line.ljust(_ORIGIN_COLUMN)}  # {origin_in_words(shown.origin)}" if with_origin else line)
        if unset:
            lines += wrap(f"not set: {', '.join(unset)}", _WIDTH, initial_indent="# ", subsequent_indent="#   ")
    return "\n".join(lines).strip("\n") + "\n"


def origin_in_words(origin: ValueOrigin) -> str:
    """Where a value came from, in a few words."""
    return origin.source.value if origin.source is ValueSource.DEFAULT else f"{origin.source.value} {origin.name}"
