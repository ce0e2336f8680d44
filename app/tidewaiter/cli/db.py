"""``tidewaiter db``: the database's tables, and the keys that encrypt what is in them."""

import asyncio

import click

from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import CommandGroup, Invocation, config_option, debug_option, example, pass_invocation
from tidewaiter.cli.output import json_option, show_json
from tidewaiter.database import migrate
from tidewaiter.database.sealing import new_key as make_key
from tidewaiter.domain.formatting import counted


@click.group(cls=CommandGroup)
@debug_option
def db() -> None:
    """Bring the database up to date, and manage its keys."""


@db.command(epilog=example("tidewaiter db upgrade"))
@click.option(
    "--lock-timeout",
    "lock_timeout_s",
    type=click.FloatRange(0.1, 86_400),
    default=migrate.LOCK_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a lock that another program holds.",
)
@json_option
@config_option
@pass_invocation
def upgrade(invocation: Invocation, /, *, lock_timeout_s: float, as_json: bool) -> None:
    """Bring the tables to the revision that this program needs.

    If another program holds a lock too long, nothing changes: the message names that program, and the exit code is 69.
    """
    url = invocation.load().database.url
    before = migrate.current(url, lock_timeout_s=lock_timeout_s)
    migrate.upgrade(url, lock_timeout_s=lock_timeout_s)
    after = migrate.current(url)
    if as_json:
        show_json({"revision": after, "before": before})
        return
    click.echo(f"the database is at revision {after}" + ("" if before == after else f", it was at {before or 'none'}"))


@db.command(epilog=example("tidewaiter db downgrade"))
@json_option
@config_option
@pass_invocation
def downgrade(invocation: Invocation, /, *, as_json: bool) -> None:
    """Undo the newest revision of the tables, before an older program runs again.

    Stop every daemon first. If the revision cannot be undone without a loss, nothing changes: the message says why, and
    the exit code is 69. Only a backup leads back then.
    """
    url = invocation.load().database.url
    before = migrate.current(url)
    migrate.downgrade(url)
    after = migrate.current(url)
    if as_json:
        show_json({"revision": after, "before": before})
        return
    click.echo(f"the database is at revision {after}, it was at {before}")


@db.command(epilog=example("tidewaiter db current"))
@json_option
@config_option
@pass_invocation
def current(invocation: Invocation, /, *, as_json: bool) -> None:
    """Print the revision of the tables.

    The exit code is 1 if there are no tables yet.
    """
    revision = migrate.current(invocation.load().database.url)
    if as_json:
        show_json({"revision": revision})
    if revision is None:
        raise CommandError(ExitCode.FAILED, "the database has no tables yet: run `tidewaiter db upgrade`")
    if not as_json:
        click.echo(revision)


@db.command(epilog=example("tidewaiter db check"))
@json_option
@config_option
@pass_invocation
def check(invocation: Invocation, /, *, as_json: bool) -> None:
    """Compare the tables with what this program needs.

    The exit code is 1 if they differ.
    """
    differences = migrate.check(invocation.load().database.url)
    if as_json:
        show_json({"differences": differences})
    else:
        for difference in differences:
            click.echo(difference)
    if differences:
        number = counted(len(differences), "difference")
        raise CommandError(ExitCode.FAILED, f"{number}: run `tidewaiter db upgrade`")
    if not as_json:
        click.echo("the tables are what this program needs")


@db.command(epilog=example("tidewaiter db accept"))
@json_option
@config_option
@pass_invocation
def accept(invocation: Invocation, /, *, as_json: bool) -> None:
    """Let the daemon serve another SQLite file than it served last, or an empty one.

    After the file was lost, or an older copy was restored, `tidewaiter serve` ends with exit code 74 until somebody has
    decided. Jobs that only the lost file had stay lost; the next job gets a number after theirs. No daemon may run.
    """
    from tidewaiter.bootstrap import accept_database  # noqa: PLC0415  # help and completion do without

    config = invocation.load()
    before, after = accept_database(config)
    if as_json:
        show_json({"jobs": after, "jobs_before": before})
        return
    known = "no file was served before" if before is None else f"jobs up to number {before} were served before"
    click.echo(f"the database is accepted with jobs up to number {after}; {known}")


@db.command("new-key", epilog=example("tidewaiter db new-key | install -m 0600 /dev/stdin links.key"))
@debug_option
def new_key() -> None:
    """Print a new key for `[database] key_file`, which encrypts stored links, secret parameters and refresh tokens.

    The file has one key per line: the first encrypts, all of them decrypt. To change the key, put the new one on the
    first line, restart every daemon, run `tidewaiter db rekey`, and remove the old one.
    """
    click.echo(make_key())


@db.command(epilog=example("tidewaiter db rekey", "tidewaiter db rekey --decrypt"))
@click.option("--decrypt", is_flag=True, help="Store all but refresh tokens unencrypted, before the key is removed.")
@json_option
@config_option
@pass_invocation
def rekey(invocation: Invocation, /, *, decrypt: bool, as_json: bool) -> None:
    """Encrypt stored links, secret parameters and refresh tokens with the first key of `[database] key_file`.

    Refresh tokens stay encrypted, also with --decrypt.

    The exit code is 1 if no key decrypts some of them. Jobs lose nothing else with their links: the daemon requests
    fresh links from the provider, or parks the job if it cannot. A job that waits to be submitted fails without its
    secret parameters. An account without its refresh token needs a new one: log in anew.
    """
    from tidewaiter.bootstrap import rekeyed  # noqa: PLC0415  # help and completion do without

    config = invocation.load()
    if not config.database.keys:
        raise CommandError(
            ExitCode.CONFIG, "there is no key: make one with `tidewaiter db new-key`, and name it in database.key_file"
        )
    done = asyncio.run(rekeyed(config, decrypt=decrypt))
    if as_json:
        show_json(
            {
                "written": done.links,
                "unreadable": done.unreadable_links,
                "refresh_tokens": done.refresh_tokens,
                "unreadable_refresh_tokens": done.unreadable_refresh_tokens,
                "secret_parameters": done.secrets,
                "unreadable_secret_parameters": done.unreadable_secrets,
            }
        )
    else:
        how = "stored unencrypted" if decrypt else "encrypted with the first key"
        click.echo(f"the links of {counted(done.links, 'job')} are {how} now")
        if done.secrets:
            click.echo(f"the secret parameters of {_with_secrets(done.secrets)} are {how} now")
        if done.refresh_tokens:
            number = counted(done.refresh_tokens, "refresh token")
            click.echo(f"{number} encrypted with the first key" + (", so keep the key" if decrypt else ""))
    lost = [f"the links of {counted(done.unreadable_links, 'job')}"] if done.unreadable_links else []
    if done.unreadable_secrets:
        lost.append(
            f"the secret parameters of {counted(done.unreadable_secrets, 'job or backfill', 'jobs and backfills')}"
        )
    lost += [counted(done.unreadable_refresh_tokens, "refresh token")] if done.unreadable_refresh_tokens else []
    if lost:
        raise CommandError(ExitCode.FAILED, f"{' and '.join(lost)} cannot be decrypted by any key")


def _with_secrets(number: int) -> str:
    return counted(number, "job or backfill", "jobs and backfills")
