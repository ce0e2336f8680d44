"""``tidewaiter serve``: the daemon."""

import asyncio
import os
import sys

import click

from app import bootstrap
from app.cli.session import Session, config_option, example, pass_session


@click.command(epilog=example("tidewaiter serve --config /etc/tidewaiter/tidewaiter.toml"))
@config_option
@pass_session
def serve(session: Session) -> None:
    """Run the daemon.

    It takes up every job that is submitted, and logs on stdout. SIGTERM and Ctrl-C let steps under way come to their
    end; a second one ends it at once. SIGHUP reads the configuration anew: what has changed counts from then on, and
    a faulty one is refused while the daemon goes on as it is. A new SQLite database is set up by itself; any other
    wants `tidewaiter db upgrade` first.
    """
    config = session.load()
    with session.log(config, level=config.log.level, stream=sys.stdout) as log:
        code = asyncio.run(bootstrap.serve(config, log, environ=os.environ))
    click.get_current_context().exit(code)
