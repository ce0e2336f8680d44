"""The option ``--reason`` of commands that pause something."""

from typing import Final

import click

reason_option: Final = click.option(
    "--reason", metavar="TEXT", help="Why, for others; without it, an existing pause keeps its reason."
)
