"""Completions of names: accounts, operations, parameters, schedules, endpoints and providers.

They must be fast, and the user may not be allowed to read secret files. So the files are read without being checked,
and without the environment; a file that cannot be read gives no completions.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from tidewaiter.cli.invocation import Invocation
from tidewaiter.toml_file import parse, read_text

_BOOLEAN: Final = ("true", "false")


def accounts(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """The configured accounts, each with its provider."""
    found = _tables(_configuration(context), "accounts")
    return _matching(typed, ((name, account.get("provider")) for name, account in found.items()))


def schedules(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """The configured schedules, each with its cron expression."""
    found = _tables(_configuration(context), "schedules")
    return _matching(typed, ((name, schedule.get("cron")) for name, schedule in found.items()))


def endpoints(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """The receivers of notifications, without their addresses, because some are secrets."""
    return _matching(typed, ((name, None) for name in _tables(_configuration(context), "notifications")))


def providers(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """The providers, each with its title."""
    specs = map(_content, chain(_built_in(), _folders(context)))
    return _matching(typed, ((str(spec["name"]), spec.get("title")) for spec in specs if "name" in spec))


def operations(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """The operations of the account on the line, or of all accounts, each with its title."""
    of_specs = [_tables(spec, "operations") for spec in _specs(context)]
    return _matching(typed, {name: one.get("title") for found in of_specs for name, one in found.items()}.items())


def parameters(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem[str]]:
    """After ``-p``: the parameters that are not given yet, or the permitted values of the one that is."""
    operation = _argument(context, "operation", 1)
    of_specs = [_parameters(_tables(spec, "operations"), operation) for spec in _specs(context)]
    found = {name: one for parameters in of_specs for name, one in parameters.items()}
    named, equals, _ = typed.partition("=")
    if equals:
        one = found.get(named, {})
        values = _BOOLEAN if one.get("type") == "boolean" else one.get("enum", ())
        return _matching(typed, ((f"{named}={value}", None) for value in values))
    given = context.params.get("params") or {}
    return _matching(typed, ((f"{name}=", one.get("help")) for name, one in found.items() if name not in given))


def _matching(typed: str, found: Iterable[tuple[str, object]]) -> list[CompletionItem[str]]:
    return [
        CompletionItem(name, help=None if about is None else str(about))
        for name, about in found
        if name.startswith(typed)
    ]


def _configuration(context: click.Context) -> Mapping[str, Any]:
    file = _file(context)
    return {} if file is None else _content(file)


def _file(context: click.Context) -> Path | None:
    return (context.find_object(Invocation) or Invocation()).find_config()


def _argument(context: click.Context, name: str, place: int) -> str | None:
    """An account or operation on the line. Click leaves arguments unread while an option lacks its value."""
    found = context.params.get(name) or (context.args[place] if len(context.args) > place else None)
    return None if found is None else str(found)


def _specs(context: click.Context) -> Iterator[Mapping[str, Any]]:
    """The specs of the account on the line, or of all accounts."""
    configured = _tables(_configuration(context), "accounts")
    account = _argument(context, "account", 0)
    providers_of_line = {one.get("provider") for name, one in configured.items() if account in (None, name)}
    # A built-in spec is named like its file, so only the providers_of_line ones are read.
    for file in _built_in():
        if file.name.removesuffix(".toml") in providers_of_line:
            yield _content(file)
    yield from (spec for spec in map(_content, _folders(context)) if spec.get("name") in providers_of_line)


def _parameters(operations: Mapping[str, Any], name: object) -> Mapping[str, Any]:
    """The parameters of an operation, with those of the operation in its ``like``."""
    own = operations.get(str(name), {})
    model = operations.get(str(own.get("like")), {})
    return {**_tables(model, "params"), **_tables(own, "params")}


def _built_in() -> list[Traversable]:
    catalog = resources.files("tidewaiter.providers") / "catalog"
    return sorted((file for file in catalog.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)


def _folders(context: click.Context) -> Iterator[Path]:
    """The specs in the operator's own folders, which relative paths lead to from the configuration's."""
    file = _file(context)
    named = _configuration(context).get("providers")
    folders = named.get("folders") if isinstance(named, dict) else None
    if file is None or not isinstance(folders, list):
        return
    for folder in folders:
        yield from sorted((file.absolute().parent / str(folder)).glob("*.toml"))


def _content(file: Path | Traversable) -> Mapping[str, Any]:
    """The content of a TOML file; empty if it cannot be read."""
    try:
        return parse(read_text(file) if isinstance(file, Path) else file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _tables(document: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """The tables inside a table, without its other values."""
    found = document.get(name)
    return {key: one for key, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}
