"""Completions for bash, zsh and fish come from the configuration; errors print nothing."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.command_shell import ROOT, CommandShell
from tests.cli.terminal import terminal
from tidewaiter.cli.invocation import COMPLETION_VARIABLE
from tidewaiter.providers.provider_registry import Registry

CONFIG = """
[providers]
folders = ["specs"]
[accounts.newsletter]
provider = "symplify"
[accounts.newsletter.settings]
token_file = "/nowhere/that/this/user/may/read"
[accounts.networks]
provider = "mine"
[notifications.ops]
url = "https://ops.example/hook/a-secret"
[schedules.nightly-opens]
account = "newsletter"
operation = "statistics"
cron = "15 4 * * *"
"""
SPEC = """
name = "mine"
title = "My own"
[operations.base]
title = "The first"
params = { since = { help = "a date: the first" }, raw = { type = "boolean", help = "as it is" } }
[operations.other]
title = "The second\\nof two"
like = "base"
params = { until = { help = "a date" } }
"""


@pytest.fixture
def installed(shell: CommandShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandShell:
    """A folder with a configuration, a spec of its own, and the program on PATH."""
    shell.config.write_text(CONFIG)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "my-api.toml").write_text(SPEC)
    program = tmp_path / "bin" / "tidewaiter"
    program.parent.mkdir()
    start = "from tidewaiter.cli.main import main; main(prog_name='tidewaiter')"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(start)} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return shell


def asked(instruction: str, **variables: str) -> list[str]:
    """The lines with which the program answers a shell."""
    environ = {**os.environ, COMPLETION_VARIABLE: instruction, **variables}
    done = subprocess.run(["tidewaiter"], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def offered(line: str) -> list[str]:
    """What fish is offered at the end of a line; the word that is begun is the one without a blank behind it."""
    answer = asked("fish_complete", COMP_WORDS=line, COMP_CWORD=line.rpartition(" ")[2])
    return [one.partition(",")[2].partition("\t")[0] for one in answer if one]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tidewaiter sch", ["schedules"]),
        ("tidewaiter --v", ["--version"]),
        ("tidewaiter jobs sh", ["show"]),
        ("tidewaiter jobs show ", []),
        ("tidewaiter submit ", ["newsletter", "networks"]),
        ("tidewaiter submit newsletter ", ["statistics"]),
        ("tidewaiter run networks ", ["base", "other"]),
        ("tidewaiter submit networks other -p ", ["since=", "raw=", "until="]),
        ("tidewaiter submit networks base -p since=today -p ", ["raw="]),
        ("tidewaiter submit networks base -p raw=", ["raw=true", "raw=false"]),
        (
            "tidewaiter submit newsletter statistics -p export_type=OP",
            ["export_type=OPENED", "export_type=OPENS", "export_type=OPTOUTS"],
        ),
        ("tidewaiter submit nobody statistics -p ", []),
        ("tidewaiter jobs list --state par", ["parked"]),
        ("tidewaiter jobs list --account=new", ["--account=newsletter"]),
        ("tidewaiter jobs list --account newsletter --operation ", ["statistics"]),
        ("tidewaiter jobs list --operation ", ["statistics", "base", "other"]),
        ("tidewaiter accounts pause ne", ["newsletter", "networks"]),
        ("tidewaiter schedules next ", ["nightly-opens"]),
        ("tidewaiter notifications list --endpoint ", ["ops"]),
        pytest.param("tidewaiter config init --provider mi", ["mine"], marks=pytest.mark.slow),
        ("tidewaiter notifications test ", ["ops"]),
        pytest.param("tidewaiter providers show sym", ["symplify"], marks=pytest.mark.slow),
        pytest.param("tidewaiter providers show mi", ["mine"], marks=pytest.mark.slow),
        ("tidewaiter completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_what_is_offered(installed: CommandShell, line: str, expected: Sequence[str]) -> None:
    """Commands, options, choices, and the names of the configuration, although its secrets cannot be read."""
    assert sorted(offered(line)) == sorted(expected)


def test_files(installed: CommandShell) -> None:
    """Where a file is wanted the shell looks for it."""
    assert asked("zsh_complete", COMP_WORDS="tidewaiter --config some", COMP_CWORD="2")[0] == "file"


def test_zsh_gets_descriptions(installed: CommandShell) -> None:
    """Three lines for each word, whatever a spec's texts hold; a colon of the word is escaped."""
    words = "tidewaiter submit networks "
    assert asked("zsh_complete", COMP_WORDS=words, COMP_CWORD="3") == [
        *("plain", "base", "The first"),
        *("plain", "other", "The second of two"),
    ]


def test_the_configuration_of_the_line(
    installed: CommandShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--config counts before the variable, and that before the usual places."""
    (tmp_path / "a.toml").write_text('[accounts.first]\nprovider = "mine"\n')
    (tmp_path / "b.toml").write_text('[accounts.second]\nprovider = "mine"\n')
    monkeypatch.setenv("TIDEWAITER_CONFIG", "a.toml")
    assert offered("tidewaiter submit ") == ["first"]
    assert offered("tidewaiter --config b.toml submit ") == ["second"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["not TOML at all", "accounts = 3\nproviders = 4", "[accounts]\nshop = 1", "[providers]\nfolders = [1]"]
)
def test_silence_on_errors(installed: CommandShell, text: str) -> None:
    """A configuration that is broken offers nothing, and nothing is said of it on the line that somebody types."""
    installed.config.write_text(text)
    assert offered("tidewaiter submit ") == []
    assert offered("tidewaiter submit shop export -p ") == []
    installed.config.unlink()
    assert offered("tidewaiter submit ") == []


def test_the_scripts(installed: CommandShell) -> None:
    """The command prints what click's own protocol gives, for each shell; another is refused."""
    for name in ("bash", "zsh", "fish"):
        assert installed("completion", name).stdout.splitlines() == asked(f"{name}_source")
    assert "is not one of" in installed("completion", "csh", code=2).stderr


@pytest.mark.slow
def test_in_a_real_bash(installed: CommandShell) -> None:
    """The tabulator completes through words that bash splits, and leaves no blank behind `name=`."""
    bash = ["bash", "--norc", "--noprofile", "-i"]
    with terminal(bash, installed.folder, {"PS1": "> ", "TERM": "dumb"}) as screen:
        screen.type("source <(tidewaiter completion bash); echo rea''dy\n")
        screen.wait_for("ready")
        for typed, expected in [
            ("tidewaiter sub\t", "tidewaiter submit "),
            ("newsl\t", "newsletter "),
            ("st\t", "statistics "),
            ("-p exp\t", "-p export_type="),
            ("CL\t", "CLICKS "),
            ("-p per\t", "-p period="),
            ("TO\t", "TODAY "),
        ]:
            screen.type(typed)
            screen.wait_for(expected)


def test_built_in_specs_are_called_like_their_files() -> None:
    """Completion finds the spec of a built-in provider by its file's name."""
    registry = Registry.load()
    assert [registry.get(name).file for name in registry.names()] == [f"catalog/{n}.toml" for n in registry.names()]


@pytest.mark.parametrize("module", ["submit", "run", "jobs", "accounts", "schedules", "notifications", "completion"])
def test_what_is_completed_loads_quickly(module: str) -> None:
    """Neither the database's library nor the network's is loaded to complete or explain the daily commands."""
    script = (
        f"import sys, tidewaiter.cli.{module}\n"
        "heavy = {'sqlalchemy', 'aiohttp', 'pydantic', 'alembic', 'structlog'}\n"
        "raise SystemExit(','.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
