"""``tidewaiter check-config``: whether a daemon can start with this configuration; starts nothing."""

from collections.abc import Iterable
from pathlib import Path

import click

from tidewaiter.bootstrap import (
    account_warnings,
    faults_of,
    faults_of_machine,
    faults_of_served_file,
    known_settings,
    unsealed_secrets,
)
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, config_option, example, pass_invocation
from tidewaiter.cli.output import show_json
from tidewaiter.config import Config, ConfigError, ConfigFault
from tidewaiter.config.config_warnings import config_warnings
from tidewaiter.config.table_keys import table_in


@click.command(
    "check-config",
    epilog=example("tidewaiter check-config", "tidewaiter check-config /etc/tidewaiter/tidewaiter.toml --strict"),
)
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("--file-only", is_flag=True, help="Do not look at this machine, because the daemon is for another one.")
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@pass_invocation
def check_config(invocation: Invocation, /, *, file: Path | None, file_only: bool, strict: bool, as_json: bool) -> None:
    """Check the configuration, offline.

    All errors at once: the file, the environment, secret files, specs, accounts and schedules; and what `tidewaiter
    serve` would refuse on this machine as this user: an extra that is not installed, folders and files that cannot be
    written, a lock file of another user, a database file that is gone. It sends nothing over the network, creates
    nothing, and opens neither database nor storage; `tidewaiter doctor` does that. The exit code is 78 if something is
    wrong.
    """
    if file is not None:
        invocation.config = file
    config, faults = _read(invocation, file_only=file_only)
    warnings = () if config is None else _warnings_of(config)
    failed = bool(faults) or (strict and bool(warnings))
    if as_json:
        summary = None if config is None or faults else {**_counts(config), "listens": _listens(config)}
        show_json(
            {
                "file": str(invocation.find_config()),
                "ok": not failed,
                "faults": _as_json(faults),
                "warnings": _as_json(warnings),
                "summary": summary,
            }
        )
    else:
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        for fault in faults:
            click.echo(f"tidewaiter: {fault}", err=True)
        if config is not None and not faults:
            click.echo(_summary(invocation, config))
    if failed:
        raise CommandError(ExitCode.CONFIG)


def _warnings_of(config: Config) -> tuple[ConfigFault, ...]:
    return (*config_warnings(config, known_settings(config)), *unsealed_secrets(config), *account_warnings(config))


def _read(invocation: Invocation, *, file_only: bool) -> tuple[Config | None, tuple[ConfigFault, ...]]:
    """The configuration as far as it can be read, and all its errors."""
    try:
        config = invocation.load()
    except ConfigError as error:
        return error.rest, error.faults
    of_machine = () if file_only else (*faults_of_machine(config), *faults_of_served_file(config))
    return config, (*faults_of(config), *of_machine)


def _as_json(faults: Iterable[ConfigFault]) -> list[dict[str, str]]:
    return [{"origin": one.origin, "key": one.key, "reason": one.reason} for one in faults]


def _counts(config: Config) -> dict[str, int]:
    """The number of accounts, schedules and so on."""
    named = [name for name, key in Config.model_fields.items() if (found := table_in(key)) and found[1]]
    return {name: len(getattr(config, name)) for name in named}


def _listens(config: Config) -> dict[str, str]:
    """The daemon's listen addresses, by table."""
    return {name: str(table.listen) for name, table in config if getattr(table, "listen", None) is not None}


def _summary(invocation: Invocation, config: Config) -> str:
    counts = ", ".join(
        f"{number} {name.removesuffix('s') if number == 1 else name}" for name, number in _counts(config).items()
    )
    places = ", ".join(f"{place} ({name})" for name, place in _listens(config).items()) or "nowhere"
    listen = config.http.listen
    page = "" if listen is None else f"; status page: {config.http.page_url(listen)}"
    return f"{invocation.find_config()}: no fault: {counts}; listens: {places}{page}"
