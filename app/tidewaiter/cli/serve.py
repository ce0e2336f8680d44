"""``tidewaiter serve``: the daemon."""

import asyncio
import os
import sys

import click

from tidewaiter import bootstrap
from tidewaiter.cli.invocation import Invocation, config_option, example, pass_invocation


@click.command(epilog=example("tidewaiter serve --config /etc/tidewaiter/tidewaiter.toml"))
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait at the start for a PostgreSQL server that cannot be reached yet.",
)
@config_option
@pass_invocation
def serve(invocation: Invocation, /, *, wait_s: float) -> None:
    """Run the daemon.

    It serves every job that is submitted, and logs on stdout. SIGTERM and Ctrl-C let running steps finish; a second
    one ends it at once. SIGHUP reads the configuration again and applies what has changed; a wrong configuration is
    refused, and the daemon continues unchanged. A new SQLite database is set up automatically; any other database
    needs `tidewaiter db upgrade` first. If the server of the database is down longer than --wait, the exit code is 69.
    """
    config = invocation.load()
    with invocation.log(config, level=config.log.level, stream=sys.stdout) as log:
        code = asyncio.run(bootstrap.serve(config, log, environ=os.environ, wait_s=wait_s))
    click.get_current_context().exit(code)
