"""Helpers for commands: submit jobs, and wait for processes."""

import json
import subprocess

from tests.cli.command_shell import CommandShell

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


def submit(shell: CommandShell, *arguments: str) -> int:
    """Submit a job; gives its number."""
    number: int = shell.json("submit", "shop", "statistics", "-p", "export_type=OPENS", *arguments)["id"]
    return number
