"""``tidewaiter emulate``: serves an emulated remote API on this machine, to test a configuration."""

import asyncio
import dataclasses
import json
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, get_type_hints

import click
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from tidewaiter.cli.invocation import debug_option, example
from tidewaiter.clock import SystemClock
from tidewaiter.emulators.catalogue import CATALOGUE, CatalogueEntry, EmulatedAccount, Value

_PART: Final = "\n[accounts.{name}.{part}]\n{lines}\n"


def account_table(name: str, account: EmulatedAccount, secret_files: Mapping[str, str] | None = None) -> str:
    """The tables of an account.

    Args:
        name: the account's name.
        account: the settings for the emulator.
        secret_files: settings that are read from a file, each with its path.
    """
    settings: dict[str, Value] = dict(account.settings)
    for key, path in (secret_files or {}).items():
        del settings[key]
        settings[f"{key}_file"] = path
    parts = {"settings": settings, "limits": account.limits, "schedule": account.schedule}
    permit = 'allow_private = ["127.0.0.1/32"] # it is on this machine'
    head = f"[accounts.{name}]\nprovider = {_written(account.provider)}\n{permit}\n"
    tables = [_PART.format(name=name, part=part, lines=_lines(values)) for part, values in parts.items() if values]
    return head + "".join(tables)


def _lines(values: Mapping[str, Value]) -> str:
    return "\n".join(f"{key} = {_written(value)}" for key, value in values.items())


def _written(value: Value) -> str:
    # JSON of a number, a boolean or a text without control characters is valid TOML.
    return json.dumps(value, ensure_ascii=False)


_STRUCTURES: Final = frozenset({"object", "array"})
_EPILOG: Final = example("tidewaiter emulate {name} --port 8100")
_UNTIL: Final = """
It runs until Ctrl-C. To inject faults, POST a list of rules to /_control/faults of any of its servers, such as
[{"route": "status", "times": 2, "fault": {"kind": "throttle"}}]. GET /_control/variants shows what else can be changed
while it runs, by a PATCH with a JSON object.
"""


@click.group
@debug_option
def emulate() -> None:
    """Serve an emulated API to test a configuration."""


class _Typed(click.ParamType[Any]):
    """An option for a field of a dataclass; objects and arrays are given as JSON."""

    def __init__(self, annotation: Any) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        schema = self._adapter.json_schema()
        if "$ref" in schema:  # an enumeration is a definition of its own
            schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
        self.name = schema.get("type", "text")
        self._choices = schema.get("enum")

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002  # click's signature
        """The placeholder of the value in the help."""
        return f"[{'|'.join(map(str, self._choices))}]" if self._choices else self.name.upper()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value of the field."""
        try:
            return self._read(value)
        except ValidationError as error:
            self.fail("; ".join(fault["msg"] for fault in error.errors()), param, ctx)

    def written(self, value: Any) -> Any:
        """A value as it is typed on the command line."""
        if self.name in _STRUCTURES:
            return self._adapter.dump_json(value).decode()
        return self._adapter.dump_python(value, mode="json")

    def _read(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value)
        except ValidationError:
            if not isinstance(value, str) or self.name not in _STRUCTURES:
                raise
            return self._adapter.validate_json(value)


def _options(entry: CatalogueEntry) -> list[click.Parameter]:
    """An option for the port, and one for each field of the entry's options."""
    port = click.Option(
        ["--port"],
        type=click.IntRange(0, 65_535),
        default=0,
        help="The port of the API; by default a free port.",
    )
    hints = get_type_hints(entry.options, include_extras=True)
    return [port, *(_option(field, hints[field.name]) for field in dataclasses.fields(entry.options))]


def _option(field: "dataclasses.Field[Any]", annotation: Any) -> click.Option:
    typed = _Typed(annotation)
    return click.Option(
        [f"--{field.name.replace('_', '-')}", field.name],
        type=typed,
        default=typed.written(
            field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        ),
        show_default=True,
        help=FieldInfo.from_annotation(annotation).description,
    )


def _command(entry: CatalogueEntry) -> click.Command:
    def serve(*, port: int, **chosen: object) -> None:
        asyncio.run(_serve(entry, port, chosen))

    return debug_option(
        click.Command(
            entry.name,
            params=_options(entry),
            callback=serve,
            help=f"Serve {entry.title}.\n{_UNTIL}",
            short_help=f"Serve {entry.title}.",
            epilog=_EPILOG.format(name=entry.name),
        )
    )


async def _serve(entry: CatalogueEntry, port: int, chosen: dict[str, object]) -> None:
    """Start the servers, print their addresses, and wait for a signal."""
    served = entry.build(SystemClock(), port, entry.options(**chosen))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        for server in served.servers.values():
            await stack.enter_async_context(server)
        width = max(map(len, served.servers)) + 2
        for called, server in served.servers.items():
            click.echo(f"{called:{width}}{server.origin}")
        click.echo("\nAn account for it:\n")
        click.echo(account_table(f"emulated-{entry.name}", served.account()))
        click.echo("Ctrl-C ends it.")
        await stop.wait()


for _entry in CATALOGUE.values():
    emulate.add_command(_command(_entry))
