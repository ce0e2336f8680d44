"""The manual page, generated from the commands' help: ``python -m tidewaiter.cli.manual > docs/man/tidewaiter.1``.

It has no date, so that the same program always generates the same page. The macros are those of man(7).
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import click

from tidewaiter import __version__
from tidewaiter.cli.exit_codes import MEANINGS
from tidewaiter.cli.invocation import CONFIG_PLACES, CONFIG_VARIABLE
from tidewaiter.cli.main import main

_NAME: Final = "tidewaiter"
_WIDTH: Final = 100
_CODE: Final = re.compile(r"`([^`]+)`")
# Words that are too long for a line may be broken between the items of a list.
_LONG: Final = re.compile(r"\S{50,}")
# Characters that roff reads as commands, or typesets so that they cannot be copied to a command line.
_SPELLED: Final = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
_EVERYWHERE: Final = frozenset({"config", "debug", "help"})
_ENVIRONMENT: Final = {
    CONFIG_VARIABLE: "The configuration, if --config does not name one.",
    "TIDEWAITER__TABLE__KEY": (
        "Overrides a key of the configuration: TIDEWAITER__WORKER__LEASE_S stands for lease_s in the table [worker]. "
        "With _FILE behind it, it names a file whose content is the value."
    ),
    "NO_COLOR": "If it is set, nothing is coloured.",
}
_SEE_ALSO: Final = (
    "`tidewaiter COMMAND --help`, and the pages in the folder docs of the project: quickstart, configuration, operate, "
    "providers, notifications, storage, api, events, metrics, security and architecture."
)


def page() -> str:
    """The page as roff."""
    context = click.Context(main, info_name=_NAME)
    summary, _, rest = _help_of(main).partition("\n\n")
    lines = [
        f'.TH {_NAME.upper()} 1 "" "Tidewaiter {_spelled(__version__)}" "User Commands"',
        '.\\" Made by `make man` from the help of the commands.',
        ".nr HY 0",  # no hyphens in names
        ".ad l",
        *_section("NAME", [f"{_NAME} \\- {_spelled(summary[0].lower() + summary[1:].rstrip('.'))}"]),
        *_section("SYNOPSIS", [f".B {_NAME}", "[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]..."]),
        *_section("DESCRIPTION", [*_paragraphs(summary), *_paragraphs(rest)]),
        *_section("OPTIONS", [*_paragraphs(_COMMON), *_options(context, main.params)]),
        *_section("COMMANDS", (line for name in main.list_commands(context) for line in _command(context, main, name))),
        *_section("ENVIRONMENT", _terms(_ENVIRONMENT)),
        *_section("FILES", _terms(_files())),
        *_section("EXIT STATUS", _terms({str(int(code)): f"{meaning}." for code, meaning in MEANINGS.items()})),
        *_section("SEE ALSO", _paragraphs(_SEE_ALSO)),
    ]
    return "\n".join(lines) + "\n"


_COMMON: Final = "--config and --debug may stand before or after the name of a command; every command has --help."


def _files() -> Mapping[str, str]:
    first, second = map(str, CONFIG_PLACES)
    return {
        f"./{first}": "The configuration, if neither --config nor the environment names one.",
        second: "The configuration, if the working directory has none.",
    }


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f".SH {title}"
    yield from lines


def _command(above: click.Context, group: click.Group, name: str) -> Iterator[str]:
    """A command with its options and examples, and after a group its commands."""
    command = group.get_command(above, name)
    if command is None or command.hidden:
        return
    context = click.Context(command, info_name=name, parent=above)
    pieces = " ".join(command.collect_usage_pieces(context)) if not isinstance(command, click.Group) else ""
    yield f'.SS "{_spelled(f"{context.command_path} {pieces}".strip())}"'
    yield from _paragraphs(_help_of(command))
    yield from _options(context, [one for one in command.params if one.name not in _EVERYWHERE])
    yield from _paragraphs(command.epilog or "")
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _command(context, command, inner)


def _help_of(command: click.Command) -> str:
    return (command.help or "").strip()


def _options(context: click.Context, parameters: Iterable[click.Parameter]) -> Iterator[str]:
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            yield from _terms(dict([record]))


def _terms(terms: Mapping[str, str]) -> Iterator[str]:
    """Each term in bold, and below it its explanation."""
    for term, about in terms.items():
        yield ".TP"
        yield f".B {_spelled(term)}"
        yield from _filled(about)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of help: filled, or verbatim after click's mark for that."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = paragraph.strip("\n").splitlines()
        if lines and lines[0].strip() == "\b":
            yield from _verbatim(lines[1:])
        elif lines:
            yield ".PP"
            yield from _filled(paragraph)


def _verbatim(lines: list[str]) -> Iterator[str]:
    """A verbatim block whose first line is its title."""
    yield ".PP"
    yield from _filled(lines[0])
    yield ".RS 4"
    yield ".EX"
    yield from (_guarded(_spelled(line)) for line in textwrap.dedent("\n".join(lines[1:])).splitlines())
    yield ".EE"
    yield ".RE"


def _filled(text: str) -> Iterator[str]:
    whole = _spelled(" ".join(text.split()))
    for line in textwrap.wrap(whole, _WIDTH, break_on_hyphens=False, break_long_words=False):
        yield _guarded(line)


def _spelled(text: str) -> str:
    """Text that roff shows unchanged, in ASCII; text in backticks is bold."""
    marked = _LONG.sub(lambda word: re.sub(r"(?<=[|,])", "\x03", word[0]), _CODE.sub("\x01\\1\x02", text))
    spelled = "".join(_SPELLED.get(one, one if one.isascii() else f"\\[u{ord(one):04X}]") for one in marked)
    return spelled.replace("\x01", r"\fB").replace("\x02", r"\fR").replace("\x03", r"\:")


def _guarded(line: str) -> str:
    """Guard a line that begins with a full stop, which roff would read as a command."""
    return rf"\&{line}" if line.startswith(".") else line


if __name__ == "__main__":
    print(page(), end="")
