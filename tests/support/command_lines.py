"""Checks a written command line against the program's commands and options, without running it."""

from collections.abc import Sequence

import click

from tidewaiter.cli.main import main


def fault_of(words: Sequence[str]) -> str | None:
    """What is wrong with the words after ``tidewaiter``; ``None`` where nothing is.

    A line may stop early, as a text does that speaks of `tidewaiter jobs`: no argument is required.
    """
    context = click.Context(main, info_name="tidewaiter")
    command: click.Command = main
    arguments: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and len(word) > 1:
            name, given, value = word.partition("=")
            option = _option(command, name)
            if option is None:
                return f"{context.command_path} has no option {name}"
            if not option.is_flag and not option.count:
                fault = _fault_of_value(option, value if given else (rest.pop(0) if rest else None))
                if fault is not None:
                    return f"{context.command_path} {name}: {fault}"
        elif isinstance(command, click.Group):
            if word.isupper():  # as in `emulate NAME`
                return None
            found = command.get_command(context, word)
            if found is None:
                return f"{context.command_path} has no command {word}"
            command, context = found, click.Context(found, parent=context, info_name=word)
        else:
            arguments.append(word)
    most = _most_arguments(command)
    if most is not None and len(arguments) > most:
        return f"{context.command_path} takes {most} arguments and not {' '.join(arguments)}"
    return None


def _option(command: click.Command, name: str) -> click.Option | None:
    if name in {"-h", "--help", "--version"}:
        return click.Option(["--help"], is_flag=True)
    options = (one for one in command.params if isinstance(one, click.Option))
    return next((one for one in options if name in (*one.opts, *one.secondary_opts)), None)


def _fault_of_value(option: click.Option, value: str | None) -> str | None:
    if value is None:
        return "wants a value"
    if isinstance(option.type, click.Choice) and value not in option.type.choices:
        return f"does not take {value}"
    return None


def _most_arguments(command: click.Command) -> int | None:
    """How many arguments a command takes at most; ``None`` for as many as one likes."""
    numbers = [one.nargs for one in command.params if isinstance(one, click.Argument)]
    return None if -1 in numbers else sum(numbers)
