"""What suites of commands share: jobs that are submitted, and processes that are waited for."""

import json
import subprocess

from tests.cli.command_folder import CommandFolder

STATISTICS = ("shop", "statistics", "-p", "export_type=OPENS")


def lines_of(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    """What a daemon that has ended has logged on stdout."""
    assert process.stdout is not None
    return [json.loads(line) for line in process.stdout.read().splitlines()]


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    """The first line of a process's output that holds the word."""
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"it ended with {process.wait()} and without {word!r}")


def submit(place: CommandFolder, *arguments: str) -> int:
    """Submit a job; gives its number."""
    number: int = place.json("submit", "shop", "statistics", "-p", "export_type=OPENS", *arguments)["id"]
    return number
