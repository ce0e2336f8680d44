"""Every command on a page exists, with its options."""

from pathlib import Path

import pytest

from tests.support.command_lines import fault_of
from tests.support.doc_pages import PAGES, ROOT, calls_in, commands_of


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    """Commands, options and the values that an option permits, in blocks and in the text."""
    faults = [f"{place}: {fault}" for place, words in commands_of(page) if (fault := fault_of(words)) is not None]
    assert faults == []


def test_commands_are_found() -> None:
    """The test above would be green, too, if nothing were found in a page."""
    found = {page.name: len(list(commands_of(page))) for page in PAGES}
    assert found["README.md"] > 10
    assert found["operate.md"] > 30


def test_what_runs_a_command_is_looked_behind() -> None:
    """Calls are found behind sudo, docker and kubectl, and a container that is named tidewaiter is no call."""
    script = """
    sudo -u tidewaiter tidewaiter jobs list
    docker exec tidewaiter tidewaiter accounts list | less   # and what comes of it
    kubectl exec deployment/tidewaiter -- tidewaiter doctor
    docker run --name tidewaiter --read-only tidewaiter:1
    /opt/tidewaiter/bin/tidewaiter db \\
      upgrade
    """
    assert list(calls_in(script)) == [["jobs", "list"], ["accounts", "list"], ["doctor"], ["db", "upgrade"]]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("jobs list --state parked", None),
        ("jobs lst", "tidewaiter jobs has no command lst"),
        ("jobs list --stat parked", "tidewaiter jobs list has no option --stat"),
        ("jobs list --state parkd", "tidewaiter jobs list --state: does not take parkd"),
        ("jobs show 1 2", "tidewaiter jobs show takes 1 arguments and not 1 2"),
    ],
)
def test_faults_are_found(line: str, fault: str | None) -> None:
    """A wrong command, option, value and number of arguments are told apart."""
    assert fault_of(line.split()) == fault
