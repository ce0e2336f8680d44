"""The option ``--label``: the labels that a job gets, or that the listed jobs must have."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def pairs_of(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Names and values, given as ``name=value``."""
    found: list[tuple[str, str]] = []
    for one in given:
        name, _, value = one.partition("=")
        if not name or not value:
            raise click.BadParameter(f"{one!r} is not of the form name=value", context, parameter)
        found.append((name, value))
    return tuple(found)


def label_option(text: str) -> Callable[[_Command], _Command]:
    """``--label NAME=VALUE``, several times; ``text`` is its help."""
    return click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", callback=pairs_of, help=text)
