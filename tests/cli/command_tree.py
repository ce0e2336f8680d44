"""Every command of the program, found by walking from the first."""

from collections.abc import Iterator

import click

from tidewaiter.cli.main import main


def commands_below(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The commands below one, each with the words that call it."""
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands_below(inner, (*path, name))


EVERY = dict(commands_below(main))
