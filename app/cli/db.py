"""``tidewaiter db``: the database's tables."""

import click

from app.cli.errors import CommandError, ExitCode
from app.cli.session import Session, config_option, debug_option, example, pass_session
from app.store import migrate


@click.group
@debug_option
def db() -> None:
    """Bring the database's tables up to date."""


@db.command(epilog=example("tidewaiter db upgrade"))
@config_option
@pass_session
def upgrade(session: Session) -> None:
    """Bring the tables to what this program needs; where they are, nothing happens."""
    url = session.load().database.url
    before = migrate.current(url)
    migrate.upgrade(url)
    after = migrate.current(url)
    click.echo(f"the database is at revision {after}" + ("" if before == after else f", it was at {before or 'none'}"))


@db.command(epilog=example("tidewaiter db current"))
@config_option
@pass_session
def current(session: Session) -> None:
    """Print the revision that the tables are at."""
    revision = migrate.current(session.load().database.url)
    if revision is None:
        raise CommandError(ExitCode.FAILED, "the database has no tables yet: run `tidewaiter db upgrade`")
    click.echo(revision)


@db.command(epilog=example("tidewaiter db check"))
@config_option
@pass_session
def check(session: Session) -> None:
    """Compare the tables with what this program needs."""
    differences = migrate.check(session.load().database.url)
    for difference in differences:
        click.echo(difference)
    if differences:
        raise CommandError(ExitCode.FAILED, f"{len(differences)} differences: run `tidewaiter db upgrade`")
    click.echo("the tables are what this program needs")
