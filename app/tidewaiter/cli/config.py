"""``tidewaiter config``: the effective configuration, a sample to start with, and its schema for editors."""

from collections.abc import Sequence
from pathlib import Path

import click

from tidewaiter.bootstrap import bind_accounts, known_settings, secrets_of, usable_providers
from tidewaiter.cli import name_completion
from tidewaiter.cli.config_file import write_config
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import (
    CONFIG_PLACES,
    CommandGroup,
    Invocation,
    config_option,
    debug_option,
    example,
    pass_invocation,
)
from tidewaiter.cli.output import show_json
from tidewaiter.config import Config, ConfigError
from tidewaiter.config.json_schema import config_schema
from tidewaiter.config.sample import sample
from tidewaiter.config.show import HIDDEN, Shown, as_toml, effective
from tidewaiter.log import Redactor
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.provider_registry import Registry


@click.group(cls=CommandGroup)
@debug_option
def config() -> None:
    """Show the configuration, create one, print its schema."""


@config.command(epilog=example("tidewaiter config show", "tidewaiter config show --origin"))
@click.option("--origin", is_flag=True, help="Show the origin of every value.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@pass_invocation
def show(invocation: Invocation, /, *, origin: bool, as_json: bool) -> None:
    """Show the effective configuration: file, environment, secret files and defaults together.

    The output is a configuration file, with "[redacted]" in place of secrets.
    """
    loaded = invocation.load()
    clean = Redactor({*loaded.secrets, *_secrets_of_accounts(loaded)}).clean
    values = effective(loaded, known_settings(loaded), clean)
    if as_json:
        show_json([_as_json(one) for one in values])
    else:
        click.echo(as_toml(values, with_origin=origin), nl=False)


@config.command(epilog=example("tidewaiter config init --provider NAME", "tidewaiter config init - | less"))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME",
    shell_complete=name_completion.providers,
    help="Add an account of this provider; repeatable.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@config_option
@pass_invocation
def init(invocation: Invocation, /, *, file: Path | None, providers: tuple[str, ...], force: bool) -> None:
    """Write a first configuration: every key with its explanation, and accounts ready to be filled in.

    FILE is ./tidewaiter.toml by default; - is standard output. An existing file is kept unless --force is given.
    `tidewaiter providers list` names the providers.
    """
    text = sample(_named(invocation, providers))
    path = file or CONFIG_PLACES[0]
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    if not write_config(path, text, force=force):
        raise CommandError(ExitCode.FAILED, f"{path} exists already; --force overwrites it")
    click.echo(f"{path} is written; fill it in, then run `tidewaiter check-config {path}`")


@config.command(epilog=example("tidewaiter config schema > tidewaiter.schema.json"))
@config_option
@pass_invocation
def schema(invocation: Invocation) -> None:
    """Print the JSON Schema of configuration files, for editors.

    With a first line `#:schema ./tidewaiter.schema.json` in the configuration, editors that know TOML complete and
    check it. The schema includes the settings of all providers, your own specs included.
    """
    registry = _registry(invocation)
    show_json(config_schema([registry.get(name) for name in registry.names()]))


def _named(invocation: Invocation, names: Sequence[str]) -> list[Provider]:
    if not names:
        return []
    built_in = Registry.load()
    registry = built_in if set(names) <= set(built_in.names()) else _registry(invocation)
    return [registry.get(name) for name in dict.fromkeys(names)]


def _registry(invocation: Invocation) -> Registry:
    """The providers of the configuration; the built-in ones if it cannot be read."""
    if invocation.find_config() is None:
        return Registry.load()
    try:
        return Registry.load_usable(invocation.load().providers.folders)
    except ConfigError as error:
        # An editor with the schema helps most while the configuration has errors.
        return Registry.load_usable(() if error.rest is None else error.rest.providers.folders)


def _secrets_of_accounts(loaded: Config) -> set[str]:
    """The secret settings of the accounts; `check-config` reports accounts with errors."""
    try:
        return secrets_of(loaded, bind_accounts(loaded, usable_providers(loaded)))
    except ConfigError:
        return set()


def _as_json(shown: Shown) -> dict[str, object]:
    value = str(shown.value) if isinstance(shown.value, Path) else shown.value
    if isinstance(value, tuple):
        value = [str(one) for one in value]
    return {
        "key": list(shown.key),
        "value": None if value == HIDDEN else value,
        "redacted": shown.hidden,
        "source": shown.origin.source.value,
        "origin": shown.origin.name,
    }
