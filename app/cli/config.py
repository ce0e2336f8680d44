"""``tidewaiter config``: the configuration as it holds, a sample to begin with, and its schema for editors."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from app.bootstrap import bind_accounts, known_settings, secrets_of
from app.cli import offers
from app.cli.errors import CommandError, ExitCode
from app.cli.output import show_json
from app.cli.session import PLACES, Session, config_option, debug_option, example, pass_session
from app.config import Config, ConfigError
from app.config.sample import sample
from app.config.schema import config_schema
from app.config.show import HIDDEN, Shown, as_toml, effective
from app.log import Redactor
from app.providers.provider import Provider
from app.providers.registry import Registry

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC


@click.group
@debug_option
def config() -> None:
    """Show the configuration, begin one, describe it to an editor."""


@config.command(epilog=example("tidewaiter config show", "tidewaiter config show --origin"))
@click.option("--origin", is_flag=True, help="Tell of every value where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@pass_session
def show(session: Session, /, *, origin: bool, as_json: bool) -> None:
    """Show the configuration as it holds: file, environment, secret files and defaults taken together.

    It is a configuration file itself, but for secrets, in whose place stands "[redacted]".
    """
    loaded = session.load()
    clean = Redactor({*loaded.secrets, *_secrets_of_accounts(loaded)}).clean
    values = effective(loaded, known_settings(loaded), clean)
    if as_json:
        show_json([_as_json(one) for one in values])
    else:
        click.echo(as_toml(values, with_origin=origin), nl=False)


@config.command(epilog=example("tidewaiter config init --provider my-api", "tidewaiter config init - | less"))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME",
    shell_complete=offers.providers,
    help="Begin an account on it; may be repeated.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@config_option
@pass_session
def init(session: Session, /, *, file: Path | None, providers: tuple[str, ...], force: bool) -> None:
    """Write a configuration to begin with: every key with what it is for, and accounts ready to be filled in.

    FILE is ./tidewaiter.toml unless told; - is standard output. A file that is there is left alone without --force.
    `tidewaiter providers list` names the providers.
    """
    text = sample(_named(session, providers))
    path = file or PLACES[0]
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    try:
        # Secrets may be written into it one day, so nobody else may read it from the beginning.
        descriptor = os.open(path, _NEW_FILE | (os.O_TRUNC if force else os.O_EXCL), 0o600)
    except FileExistsError:
        raise CommandError(ExitCode.FAILED, f"{path} is there already; --force writes over it") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(text)
    click.echo(f"{path} is written; fill it in, then run `tidewaiter check-config {path}`")


@config.command(epilog=example("tidewaiter config schema > tidewaiter.schema.json"))
@config_option
@pass_session
def schema(session: Session) -> None:
    """Print the JSON Schema of configuration files, for editors.

    A first line `#:schema ./tidewaiter.schema.json` in the configuration has editors that know TOML complete and check
    it. Accounts are held to the settings of their providers, your own specs included.
    """
    registry = _registry(session)
    show_json(config_schema([registry.get(name) for name in registry.names()]))


def _named(session: Session, names: Sequence[str]) -> list[Provider]:
    if not names:
        return []
    built_in = Registry.load()
    registry = built_in if set(names) <= set(built_in.names()) else _registry(session)
    return [registry.get(name) for name in dict.fromkeys(names)]


def _registry(session: Session) -> Registry:
    """The providers of the configuration; the built-in ones where there is none that can be read."""
    if session.find_config() is None:
        return Registry.load()
    try:
        return Registry.load(session.load().providers.folders)
    except ConfigError as error:
        # A configuration at fault is what an editor with a schema is for.
        return Registry.load(() if error.rest is None else error.rest.providers.folders)


def _secrets_of_accounts(loaded: Config) -> set[str]:
    """What the providers call secret; accounts at fault have their say in `check-config`."""
    try:
        return secrets_of(bind_accounts(loaded))
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
