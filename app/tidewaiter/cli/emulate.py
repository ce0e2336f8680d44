"""``tidewaiter emulate``: serves an emulated remote API on this machine, to test a configuration."""

import asyncio
import dataclasses
import json
import shlex
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, get_type_hints

import click
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from tidewaiter.cli.config_file import write_once
from tidewaiter.cli.invocation import CommandGroup, debug_option, example
from tidewaiter.clock import SystemClock
from tidewaiter.emulators.catalogue import CATALOGUE, CatalogueEntry, EmulatedAccount, Value

_PART: Final = "\n[accounts.{name}.{part}]\n{lines}\n"
_LISTEN: Final = "127.0.0.1:8090"
_WHOLE: Final = """\
# Made by `tidewaiter emulate {name}`. Relative paths start at the folder of this file.

[database]
url = "sqlite:///tidewaiter.db"

[storage]
root = "exports"

[http]
listen = "{listen}" # status page, API, health and metrics

{account}"""


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
_EPILOG: Final = example("tidewaiter emulate {name} --port 8100 --write-config tidewaiter.toml")
_UNTIL: Final = """
It prints a whole configuration with an account for it, which is named as the provider, or writes it to a file.

It runs until Ctrl-C. To inject faults, POST a list of rules to /_control/faults of any of its servers, such as
[{"route": "status", "times": 2, "fault": {"kind": "throttle"}}]. GET /_control/variants shows what else can be changed
while it runs, by a PATCH with a JSON object.
"""


@click.group(cls=CommandGroup)
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
    """Options for the port and the configuration, and one for each field of the entry's options."""
    port = click.Option(
        ["--port"],
        type=click.IntRange(0, 65_535),
        default=0,
        help="The port of the API; by default a free port.",
    )
    file = click.Option(
        ["--write-config"],
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the configuration to this file, and do not print it.",
    )
    hints = get_type_hints(entry.options, include_extras=True)
    return [port, file, *(_option(field, hints[field.name]) for field in dataclasses.fields(entry.options))]


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
    def serve(*, port: int, write_config: Path | None, **chosen: object) -> None:
        asyncio.run(_serve(entry, port, write_config, chosen))

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


async def _serve(entry: CatalogueEntry, port: int, file: Path | None, chosen: dict[str, object]) -> None:
    """Start the servers, print their addresses, print or write the configuration, and wait for a signal."""
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
        account = account_table(entry.name, served.account())
        configuration = _WHOLE.format(name=entry.name, listen=_LISTEN, account=account)
        if file is None:
            click.echo(f"\nA configuration with an account for it:\n\n{configuration}")
        else:
            write_once(file, configuration, "leave out --write-config to keep it, or remove it")
            click.echo(f"\n{file} is written, with the account {entry.name}. Run the daemon in another terminal:\n")
            click.echo(f"tidewaiter serve --config {shlex.quote(str(file))}\n")
            click.echo(f"Its status page is then at http://{_LISTEN}/")
        click.echo("Ctrl-C ends it.")
        await stop.wait()


for _entry in CATALOGUE.values():
    emulate.add_command(_command(_entry))
