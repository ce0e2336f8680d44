"""A sample configuration: every table and key with its purpose, and accounts ready to be filled in.

A line that begins with ``# `` is an explanation. A line that begins with ``#`` and a key shows that key with its
default, or with an example if it has none. Defaults are taken from the tables, so they are never out of date.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic.fields import FieldInfo

from tidewaiter.config.table_keys import NAME, TableKeys, every_table, is_secret, toml_key, toml_value
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec.field_types import holds
from tidewaiter.providers.spec.value_spec import SettingSpec

_WIDTH: Final = 120
_COLUMN: Final = 48
_ANY: Final = {"string": "...", "url": "https://...", "integer": 1, "boolean": False, "private_key": "..."}
_SECRETS: Final = "/run/secrets"
_SWITCHED_ON: Final = frozenset({("http", "listen")})
"""Keys that a first configuration sets although their default is another one."""
_HEAD: Final = """\
#:schema ./tidewaiter.schema.json

# Tidewaiter's configuration. `tidewaiter check-config` prints what is wrong with it, `tidewaiter config show` the
# values in use, and `tidewaiter config schema > tidewaiter.schema.json` makes a schema for editors.
#
# A line such as "#key = value" shows a default, or an example if there is none: remove the # to change it.
# Any key may be written as KEY_file instead: the content of that file, stripped, is then the value.
# An environment variable overrides a key: TIDEWAITER__WORKER__LEASE_S=5, TIDEWAITER__LOG__LEVEL=debug.
# Relative paths start at the folder of this file.
"""


def sample(providers: Sequence[Provider] = ()) -> str:
    """The text of a configuration with an account on each of these providers, named as the provider is."""
    lines: list[str] = [_HEAD]
    tables = list(every_table())
    for table in tables:
        above = table.path[: table.path.index(NAME) + 1] if NAME in table.path else table.path
        if above == ("accounts", NAME) and providers:
            if table.path == above:
                inner = [one for one in tables if one.path[: len(above)] == above]
                lines += [line for provider in providers for line in _account(provider, inner)]
        else:
            lines += _table(table)
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(table: TableKeys) -> Iterator[str]:
    """A table with all its keys; a table that an operator names is shown as an example."""
    path = tuple("example" if name == NAME else name for name in table.path)
    yield from _explained(table.purpose)
    # A header alone changes nothing, except that of a named table: its required keys would be missing.
    yield f"{'#' if NAME in table.path else ''}[{toml_key(*path)}]"
    lines = {name: _key(name, key) for name, key in table.keys.items()}
    for name in (name for name in lines if (*table.path, name) in _SWITCHED_ON):
        line, explanation = lines[name]
        lines[name] = line.removeprefix("#"), explanation
    yield from _beside(list(lines.values()))
    yield ""


def _account(provider: Provider, tables: Sequence[TableKeys]) -> Iterator[str]:
    """An account to be filled in: required keys are there, with examples as values."""
    own, *inner = tables
    name, settings = provider.name, provider.spec.account
    yield from _explained(f"{provider.title}; `tidewaiter providers show {name}` lists its operations")
    yield f"[{toml_key('accounts', name)}]"
    yield f"provider = {toml_value(name)}"
    yield from _beside([_key(key, info) for key, info in own.keys.items() if key not in ("provider", "settings")])
    yield ""
    if settings:
        yield f"[{toml_key('accounts', name, 'settings')}]"
        defaults = {key: setting.default for key, setting in settings.items()}
        yield from _beside([_setting(name, key, setting, defaults) for key, setting in settings.items()])
        yield ""
    for table in inner:
        yield from _explained(table.purpose)
        yield f"[{toml_key('accounts', name, *table.path[2:])}]"
        yield from _beside([_key(key, info) for key, info in table.keys.items()])
        yield ""


# --- one line ---------------------------------------------------------------------------------------------------------


def _key(name: str, key: FieldInfo) -> tuple[str, str]:
    """The line of a key, and its explanation."""
    explanation = f"{key.description}{'; required' if key.is_required() else ''}"
    shown = _shown(key)
    if shown is None:
        return f"#{toml_key(f'{name}_file')} = {toml_value(f'{_SECRETS}/{name}')}", explanation
    return f"#{toml_key(name)} = {toml_value(shown)}", explanation


def _shown(key: FieldInfo) -> object:
    """The value that a key's line shows; ``None`` for a secret, which belongs in a file."""
    default = None if key.is_required() else key.get_default()
    if default not in (None, (), {}):
        return default
    if key.examples:
        return key.examples[0]
    return "..." if key.is_required() and not is_secret(key) else default


def _setting(account: str, name: str, setting: SettingSpec, defaults: Mapping[str, object]) -> tuple[str, str]:
    explanation = "; ".join(_explanations(setting))
    mark = "" if setting.required and setting.default is None and holds(setting.when, defaults) else "#"
    if setting.secret:
        path = f"{_SECRETS}/{account}-{name.replace('_', '-')}"
        return f"{mark}{toml_key(f'{name}_file')} = {toml_value(path)}", explanation
    shown = next(one for one in (setting.default, setting.example, _ANY[setting.type]) if one is not None)
    return f"{mark}{toml_key(name)} = {toml_value(shown)}", explanation


def _explanations(setting: SettingSpec) -> Iterator[str]:
    yield setting.help
    if setting.enum:
        yield f"one of {', '.join(setting.enum)}"
    if setting.required and setting.default is None:
        where = " and ".join(f"{name} is {_word(value)}" for name, value in setting.when.items())
        yield f"required where {where}" if where else "required"


def _word(value: object) -> str:
    return value if isinstance(value, str) else toml_value(value)


# --- comments ---------------------------------------------------------------------------------------------------------


def _beside(lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Lines with their explanations behind them, in a column; an explanation that is too long stands above its line."""
    column = max((len(line) for line, _ in lines if len(line) <= _COLUMN), default=0) + 2
    for line, explanation in lines:
        if max(column, len(line) + 2) + len(explanation) + 2 <= _WIDTH:
            yield f"{line.ljust(column - 1) if len(line) < column else f'{line} '} # {explanation}"
        else:
            yield from _wrapped(explanation)
            yield line


def _explained(purpose: str) -> Iterator[str]:
    yield from _wrapped(f"{purpose[:1].upper()}{purpose[1:].removesuffix('.')}.")


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
