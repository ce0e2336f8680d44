"""The manual page: that of this program, with every command in it, and nothing that roff would misread."""

import re
import tomllib

import click

from tests.cli.command_folder import ROOT
from tests.cli.command_tree import EVERY
from tidewaiter.cli import manual
from tidewaiter.cli.exit_codes import MEANINGS

FILE = ROOT / "docs" / "man" / "tidewaiter.1"
MACROS = frozenset(["TH", "SH", "SS", "PP", "TP", "B", "RS", "RE", "EX", "EE", "nr", "ad"])


def test_it_is_that_of_this_program() -> None:
    """The file is what the commands' help makes now; `make man` writes it."""
    assert FILE.read_text() == manual.page()


def test_every_command_is_in_it() -> None:
    """With its usage, its options and its examples."""
    page = FILE.read_text().replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\(dq", '"').replace(r"\:", "")
    for path, command in EVERY.items():
        assert f'.SS "tidewaiter {" ".join(path)}' in page
        for one in command.params:
            if isinstance(one, click.Option):
                assert one.opts[-1] in page
        for line in (command.epilog or "").splitlines():
            assert line.strip("\b ").replace("~", r"\(ti") in page


def test_what_a_page_has() -> None:
    """The sections that man-pages(7) names, and every exit code."""
    page = FILE.read_text()
    assert re.findall(r"^\.SH (.+)$", page, re.MULTILINE) == [
        *("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS", "SEE ALSO")
    ]
    assert all(f".B {int(code)}\n" in page for code in MEANINGS)


def test_nothing_is_misread() -> None:
    """ASCII only; a line that begins with a full stop is one of the macros, and every backslash begins an escape."""
    page = FILE.read_text()
    assert page.isascii()
    for line in page.splitlines():
        assert not line.startswith("'")
        if line.startswith("."):
            assert line.startswith('.\\"') or line[1:].partition(" ")[0] in MACROS
        assert re.fullmatch(r"(?:[^\\]|\\(?:e|-|&|:|\"|\(aq|\(ga|\(ha|\(ti|\(dq|f[BIR]|\[u[0-9A-F]{4}\]))*", line), line


def test_words_are_spelled_as_they_are() -> None:
    """What means something to roff is shown, not done."""
    assert list(manual._paragraphs(".so it's a `\\` — here")) == [
        ".PP",
        r"\&.so it\(aqs a \fB\e\fR \[u2014] here",
    ]


def test_it_is_installed() -> None:
    """The wheel has it where man(1) looks."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert built["shared-data"] == {"docs/man/tidewaiter.1": "share/man/man1/tidewaiter.1"}
