"""Options that several commands have."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

reason_option: Final = click.option(
    "--reason", metavar="TEXT", help="Why, for others; without it, an existing pause keeps its reason."
)
"""``--reason`` of commands that pause something."""


def label_option(text: str) -> Callable[[_Command], _Command]:
    """``--label NAME=VALUE``, several times: the labels that a job gets, or that it must have; ``text`` is its help."""
    return click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", callback=pairs_of, help=text)


def pairs_of(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Names and values, given as ``name=value``."""
    found: list[tuple[str, str]] = []
    for one in given:
        name, _, value = one.partition("=")
        if not name or not value:
            raise click.BadParameter(f"{one!r} is not of the form name=value", context, parameter)
        found.append((name, value))
    return tuple(found)
