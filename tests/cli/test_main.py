"""The program as a whole: help, global options, exit codes."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.cli.command_shell import CONFIG, ROOT, CommandShell
from tests.cli.command_tree import EVERY
from tests.support.postgres_roles import limited, run
from tidewaiter import __version__
from tidewaiter.cli.exit_codes import MEANINGS, ExitCode
from tidewaiter.cli.main import COMMANDS


def test_the_help_names_all_commands_and_exit_codes(shell: CommandShell) -> None:
    """`tidewaiter --help` is an overview: the commands, and the meaning of the exit codes."""
    text = shell("--help").stdout
    for name, (_, line) in COMMANDS.items():
        assert name in text
        assert line in text
    for code, meaning in MEANINGS.items():
        assert f"{code:>3}  {meaning}" in text


def test_the_map_says_what_the_commands_say() -> None:
    """The lines of the help, which are written down so that nothing has to be loaded, are those of the commands."""
    for name, (_, line) in COMMANDS.items():
        assert EVERY[name,].help is not None
        assert str(EVERY[name,].help).splitlines()[0] == line


@pytest.mark.parametrize("path", [path for path, command in EVERY.items() if not isinstance(command, click.Group)])
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...], shell: CommandShell) -> None:
    """No command leaves its reader to guess; the example begins with the command itself."""
    text = shell(*path, "--help").stdout
    assert f"  tidewaiter {' '.join(path)}" in text.split("Example")[-1]


@pytest.mark.parametrize("path", [path for path, command in EVERY.items() if isinstance(command, click.Group)])
def test_a_group_says_in_whole_sentences_what_its_commands_do(path: tuple[str, ...], shell: CommandShell) -> None:
    """No line ends with three dots, which click puts where a sentence is longer than its line."""
    commands = shell(*path, "--help").stdout.split("Commands:")[-1]
    assert "..." not in commands, commands


@pytest.mark.parametrize("path", EVERY)
def test_every_option_explains_itself(path: tuple[str, ...]) -> None:
    """An option says in a sentence what it is for."""
    for one in EVERY[path].params:
        if isinstance(one, click.Option):
            assert one.help, f"{' '.join(path)} {one.opts[-1]} has no help"
            assert one.help.partition("  [")[0].endswith("."), f"{one.opts[-1]}: {one.help}"


def test_whatever_prints_data_prints_it_as_json_too() -> None:
    """Without --json are only those that run, write a file, or print what is for a program already."""
    without = {path for path, command in EVERY.items() if not any("--json" in one.opts for one in command.params)}
    groups = {path for path, command in EVERY.items() if isinstance(command, click.Group)}
    emulators = {path for path in EVERY if path[0] == "emulate"}
    assert without - groups - emulators == {
        ("serve",),
        ("demo",),
        ("completion",),
        ("config", "init"),
        ("config", "schema"),
        ("db", "new-key"),
        ("providers", "schema"),
    }


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_nothing_heavy(argument: str) -> None:
    """Both answer at once: neither the database's library nor the network's is imported for them."""
    heavy = "{'sqlalchemy', 'aiohttp', 'pydantic', 'rich', 'alembic', 'structlog', 'asyncio'}"
    script = (
        "import sys\nfrom tidewaiter.cli.main import main\n"
        f"try: main([{argument!r}], prog_name='tidewaiter')\n"
        f"except SystemExit: pass\nraise SystemExit(','.join({heavy} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version(shell: CommandShell) -> None:
    """The version is the package's."""
    assert shell("--version").stdout == f"tidewaiter {__version__}\n"


def test_without_a_configuration(shell: CommandShell) -> None:
    """Where there is no configuration, the command says where it looked."""
    shell.config.unlink()
    result = shell("jobs", "list", code=ExitCode.CONFIG)
    assert result.stdout == ""
    assert result.stderr == (
        "tidewaiter: there is no configuration, neither tidewaiter.toml nor /etc/tidewaiter/tidewaiter.toml; "
        "name one with --config, or write one with `tidewaiter config init`\n"
    )


def test_every_fault_of_a_configuration_is_reported(shell: CommandShell) -> None:
    """Shape, provider and settings: each fault is a line with its place, and no line shows a secret."""
    shell.config.write_text("[worker]\npolls = 0\nlease = 3\n")
    result = shell("serve", code=ExitCode.CONFIG)
    assert result.stderr.splitlines() == [
        "tidewaiter: tidewaiter.toml: worker.polls: must be 1 or more",
        "tidewaiter: tidewaiter.toml: worker.lease: is no known key; did you mean lease_s?",
    ]
    shell.config.write_text(CONFIG.replace("customer_id", "customer") + '[accounts.other]\nprovider = "nobody"\n')
    result = shell("serve", code=ExitCode.CONFIG)
    output = result.stderr.splitlines()
    assert len(output) == 3
    assert all(line.startswith("tidewaiter: tidewaiter.toml: accounts.") for line in output)
    assert "canary" not in result.output


def test_the_configuration_is_found(shell: CommandShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one of --config, before or after the command, else of the variable, else of the working directory."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.toml").write_text(CONFIG)
    shell("--config", "other/mine.toml", "db", "upgrade")
    assert (other / "tidewaiter.db").exists()
    assert not (tmp_path / "tidewaiter.db").exists()
    shell("db", "upgrade", "--config", str(shell.config))
    assert (tmp_path / "tidewaiter.db").exists()
    monkeypatch.setenv("TIDEWAITER_CONFIG", "gone.toml")
    result = shell("db", "current", code=ExitCode.CONFIG)
    assert result.stderr == "tidewaiter: gone.toml: cannot be read: No such file or directory\n"
    shell("db", "current", "--config", str(shell.config))


def test_the_environment_overrides(shell: CommandShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable reaches the command."""
    monkeypatch.setenv("TIDEWAITER__DATABASE__URL", "sqlite:///elsewhere.db")
    shell("db", "upgrade")
    assert (tmp_path / "elsewhere.db").exists()


def test_usage(shell: CommandShell) -> None:
    """A wrong command, option or argument ends with 2 and a hint."""
    for arguments in (["sail"], ["jobs", "list", "--state", "sunk"], ["jobs", "show", "one"], ["submit", "shop"]):
        assert "Usage: tidewaiter" in shell(*arguments, code=ExitCode.USAGE).stderr


def test_a_database_that_cannot_be_used(shell: CommandShell) -> None:
    """An unreachable database is one sentence and 69, whatever the command; --debug shows where it arose."""
    url = "postgresql://nobody:canary-word@127.0.0.1:9/none"
    shell.config.write_text(f'[database]\nurl = "{url}"\n')
    result = shell("jobs", "list", code=ExitCode.UNAVAILABLE)
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("tidewaiter: The database cannot be reached")
    assert "canary" not in result.output


def test_a_right_that_is_missing(shell: CommandShell, postgres_url: str) -> None:
    """A command that may not read a table says so in one sentence and ends with 69: it is no fault of the program."""
    with limited(postgres_url) as url:
        run(postgres_url, "REVOKE SELECT ON jobs FROM limited")
        shell.config.write_text(f'[database]\nurl = "{url}"\n')
        result = shell("jobs", "list", code=ExitCode.UNAVAILABLE)
    (line,) = result.stderr.splitlines()
    assert line == (
        "tidewaiter: The database refuses it: permission denied for table jobs (the statement needs SELECT); "
        "`tidewaiter doctor` names the GRANT statement."
    )


@pytest.mark.slow
def test_debug_shows_where(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours is one sentence that names it; with --debug, before or after the command, also its place."""

    def broken(_url: str) -> None:
        raise ZeroDivisionError("token=canary")

    monkeypatch.setattr("tidewaiter.database.migrate.current", broken)
    result = shell("db", "current", code=ExitCode.FAILED)
    assert result.stderr == (
        "tidewaiter: this is a fault of the program: ZeroDivisionError: token=canary; --debug shows where\n"
    )
    for arguments in (("--debug", "db", "current"), ("db", "current", "--debug")):
        process = subprocess.run(
            [sys.executable, "-c", f"{_BROKEN}main({list(arguments)!r})"],
            cwd=shell.folder,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == ExitCode.FAILED
        assert "Traceback" in process.stderr
        assert "in broken" in process.stderr


_BROKEN = """
from tidewaiter.cli.main import main
from tidewaiter.database import migrate
def broken(url): raise ZeroDivisionError("oops")
migrate.current = broken
"""


@pytest.mark.slow
def test_a_reader_that_has_gone(shell: CommandShell) -> None:
    """`tidewaiter jobs list | head -1` ends quietly."""
    shell("db", "upgrade")
    with shell.process("jobs", "list") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.wait(30)
        assert process.stderr.read() == ""
