"""``tidewaiter db``: the database's tables."""

import click

from app.cli.errors import CommandError, ExitCode
from app.cli.output import counted, show_json
from app.cli.session import Session, config_option, debug_option, example, pass_session
from app.store import migrate

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group
@debug_option
def db() -> None:
    """Bring the database's tables up to date."""


@db.command(epilog=example("tidewaiter db upgrade"))
@_json_option
@config_option
@pass_session
def upgrade(session: Session, /, *, as_json: bool) -> None:
    """Bring the tables to what this program needs; where they are, nothing happens."""
    url = session.load().database.url
    before = migrate.current(url)
    migrate.upgrade(url)
    after = migrate.current(url)
    if as_json:
        show_json({"revision": after, "before": before})
        return
    click.echo(f"the database is at revision {after}" + ("" if before == after else f", it was at {before or 'none'}"))


@db.command(epilog=example("tidewaiter db current"))
@_json_option
@config_option
@pass_session
def current(session: Session, /, *, as_json: bool) -> None:
    """Print the revision that the tables are at.

    The exit code is 1 where there are no tables yet.
    """
    revision = migrate.current(session.load().database.url)
    if as_json:
        show_json({"revision": revision})
    if revision is None:
        raise CommandError(ExitCode.FAILED, "the database has no tables yet: run `tidewaiter db upgrade`")
    if not as_json:
        click.echo(revision)


@db.command(epilog=example("tidewaiter db check"))
@_json_option
@config_option
@pass_session
def check(session: Session, /, *, as_json: bool) -> None:
    """Compare the tables with what this program needs.

    The exit code is 1 where they differ.
    """
    differences = migrate.check(session.load().database.url)
    if as_json:
        show_json({"differences": differences})
    else:
        for difference in differences:
            click.echo(difference)
    if differences:
        told = counted(len(differences), "difference")
        raise CommandError(ExitCode.FAILED, f"{told}: run `tidewaiter db upgrade`")
    if not as_json:
        click.echo("the tables are what this program needs")
