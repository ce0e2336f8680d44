"""``tidewaiter emulate``: an emulated remote API on this machine, to try a configuration on."""

import asyncio
import signal
from typing import Final

import click

from app.cli.session import debug_option, example
from app.clock import SystemClock
from app.emulators.files import FileHost
from app.emulators.symplify import SymplifyEmulator

_ACCOUNT: Final = """\
[accounts.emulated]
provider = "symplify"
allow_private = true

[accounts.emulated.settings]
server = "{server}"
customer_id = "{customer_id}"
token = "{token}"

[accounts.emulated.schedule]
first_delay_s = 1
interval_s = 2
"""


@click.group
@debug_option
def emulate() -> None:
    """Serve an emulated API to try a configuration on."""


@emulate.command(epilog=example("tidewaiter emulate symplify --port 8100 --build-s 20"))
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Where the API listens; a free port unless told."
)
@click.option(
    "--build-s", type=click.FloatRange(min=0), default=10.0, show_default=True, help="How long an export takes."
)
@click.option("--rows", type=click.IntRange(min=0), default=500, show_default=True, help="How many rows one has.")
@click.option("--link-ttl-s", type=float, default=300.0, show_default=True, help="How long a signed URL is good for.")
@click.option("--customer-id", default="5004", show_default=True, help="The customer that the API knows.")
@click.option("--token", default="emulated-token", show_default=True, help="The token that it wants.")
@debug_option
def symplify(*, port: int, build_s: float, rows: int, link_ttl_s: float, customer_id: str, token: str) -> None:
    """Serve Symplify's statistic export and the file host that it links to, until Ctrl-C.

    Faults are told to either server: POST a list of rules to /_control/faults, such as
    [{"route": "status", "times": 2, "fault": {"kind": "throttle"}}].
    """

    async def serve() -> None:
        clock = SystemClock()
        files = FileHost(clock=clock, secrets=[token])
        api = SymplifyEmulator(
            clock=clock,
            files=files,
            token=token,
            customer_id=customer_id,
            build_s=build_s,
            link_ttl_s=link_ttl_s,
            rows=rows,
            port=port,
        )
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with files, api:
            click.echo(f"API        {api.base_url}")
            click.echo(f"file host  {files.origin}")
            click.echo("\nAn account for it:\n")
            click.echo(_ACCOUNT.format(server=api.origin, customer_id=customer_id, token=token))
            click.echo("Ctrl-C ends it.")
            await stop.wait()

    asyncio.run(serve())
