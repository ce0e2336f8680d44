"""`tidewaiter emulate`: its options come from the catalogue and are checked before a server starts."""

import dataclasses

import pytest

from tests.cli.command_shell import CommandShell
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.emulators.catalogue import CATALOGUE


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_option_says_what_it_is(shell: CommandShell, name: str) -> None:
    """The help of each emulator names every option with its default, and tells how faults are told."""
    output = " ".join(shell("emulate", name, "--help").output.split())
    assert "/_control/faults" in output
    fields = dataclasses.fields(CATALOGUE[name].options)
    assert output.count("[default: ") == len(fields)
    for field in fields:
        assert f" --{field.name.replace('_', '-')} " in output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--pending", "7"), "200, 102, 202"),
        (("--build-s", "-1"), "greater than or equal to 0"),
        (("--http-statuses", '{"207": "x"}'), "valid integer"),
        (("--http-statuses", "nonsense"), "Invalid JSON"),
        (("--error-info", "perhaps"), "valid boolean"),
    ],
)
def test_a_wrong_option(shell: CommandShell, options: tuple[str, str], text: str) -> None:
    """One sentence, exit code 2, and no server."""
    output = shell("emulate", "oneall", *options, code=ExitCode.USAGE).output
    assert options[0] in output
    assert text in output
