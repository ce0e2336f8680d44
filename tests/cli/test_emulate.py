"""`tidewaiter emulate`: options come from the catalogue, and are checked before anything starts."""

import dataclasses

import pytest

from tests.cli.command_folder import CommandFolder
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.emulators.catalogue import CATALOGUE


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_option_says_what_it_is(place: CommandFolder, name: str) -> None:
    """The help of each emulator names every option with its default, and tells how faults are told."""
    told = " ".join(place("emulate", name, "--help").output.split())
    assert "/_control/faults" in told
    fields = dataclasses.fields(CATALOGUE[name].options)
    assert told.count("[default: ") == len(fields)
    for field in fields:
        assert f" --{field.name.replace('_', '-')} " in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pending", "7"), "200, 102, 202"),
        (("--build-s", "-1"), "greater than or equal to 0"),
        (("--http-statuses", '{"207": "x"}'), "valid integer"),
        (("--http-statuses", "nonsense"), "Invalid JSON"),
        (("--error-info", "perhaps"), "valid boolean"),
    ],
)
def test_a_wrong_option(place: CommandFolder, options: tuple[str, str], said: str) -> None:
    """One sentence, exit code 2, and no server."""
    told = place("emulate", "oneall", *options, code=ExitCode.USAGE).output
    assert options[0] in told
    assert said in told
