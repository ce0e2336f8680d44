"""`tidewaiter providers`: the settings of each provider, and the check of an operator's own specs."""

import json
from pathlib import Path

from tests.cli.command_shell import CommandShell
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.providers.spec.provider_spec import spec_schema
from tidewaiter.web.api.provider_schemas import ProviderShape


def test_listing(shell: CommandShell) -> None:
    """Every built-in provider is listed, with or without a configuration."""
    shell.config.unlink()
    listed = [provider["name"] for provider in shell.json("providers", "list")["providers"]]
    assert listed == list(Registry.load().names())
    assert "symplify" in shell("providers", "list").stdout


def test_how_a_spec_was_verified(shell: CommandShell, tmp_path: Path) -> None:
    """The list says it for every built-in provider, and `show` in words; a spec of one's own need not say it."""
    (tmp_path / "specs").mkdir()
    shell.config.write_text('[providers]\nfolders = ["specs"]')
    source = Registry.load().source("symplify").replace('name = "symplify"', 'name = "mine"', 1)
    (tmp_path / "specs" / "mine.toml").write_text(source.replace('verified = "emulator"\n', ""))
    listed = {one["name"]: one["verified"] for one in shell.json("providers", "list")["providers"]}
    assert listed["mine"] is None
    assert listed["symplify"] == shell.json("providers", "show", "symplify")["verified"] == "emulator"
    (line,) = (line for line in shell("providers", "list").stdout.splitlines() if line.strip().startswith("symplify"))
    assert "emulator" in line
    assert "verified: run against an emulator of the API" in shell("providers", "show", "symplify").stdout
    assert "not run against a server" in shell("providers", "show", "fhir-bulk").stdout
    assert "verified" not in shell("providers", "show", "mine").stdout
    (tmp_path / "mine.toml").write_text(source.replace('"emulator"', '"hearsay"', 1))
    fault = shell("providers", "lint", "mine.toml", code=ExitCode.CONFIG).stdout
    assert fault == "mine.toml: verified: must be 'documentation', 'emulator' or 'server'\n"


def test_showing(shell: CommandShell) -> None:
    """A provider is shown with all that an account and a job need: type, whether required, permitted, secret."""
    text = shell("providers", "show", "symplify").stdout
    settings = {line.split()[0]: line for line in text.splitlines() if line}
    assert "string, secret" in settings["token"]
    assert "url, redirect" in settings["result"]
    assert "LAST_2_WEEKS" in settings["period"]
    shown = shell.json("providers", "show", "symplify")
    assert shown["settings"]["token"]["secret"] is True
    schema = shown["operations"]["statistics"]["parameters"]
    assert schema["properties"]["period"]["default"] == "LAST_DAY"
    assert set(ProviderShape.model_fields) == set(shown) - {"file", "settings"}


def test_the_spec_itself(shell: CommandShell, tmp_path: Path) -> None:
    """--toml prints a file that can be changed and linted."""
    source = shell("providers", "show", "symplify", "--toml").stdout
    assert source == Registry.load().source("symplify")
    (tmp_path / "mine.toml").write_text(source)
    assert shell("providers", "lint", "mine.toml").stdout == "1 spec: no fault\n"
    shell("providers", "show", "symplify", "--toml", "--json", code=ExitCode.USAGE)


def test_a_spec_to_begin_with(shell: CommandShell, tmp_path: Path) -> None:
    """A built-in spec can be printed into the folder of one's own specs, where the shell has made an empty file."""
    (tmp_path / "specs").mkdir()
    shell.config.write_text('[providers]\nfolders = ["specs"]')
    mine = tmp_path / "specs" / "mine.toml"
    mine.write_text("")
    mine.write_text(shell("providers", "show", "ogc-processes", "--toml").stdout.replace("ogc-processes", "mine"))
    assert "mine" in shell("providers", "list").stdout


def test_specs_of_ones_own(shell: CommandShell, tmp_path: Path) -> None:
    """A spec in the configuration's folder is a provider like the others; a faulty one is told with its file."""
    specs = tmp_path / "specs"
    specs.mkdir()
    source = Registry.load().source("symplify").replace('name = "symplify"', 'name = "mine"', 1)
    (specs / "mine.toml").write_text(source)
    shell.config.write_text('[providers]\nfolders = ["specs"]')
    assert "mine" in shell("providers", "list").stdout
    assert shell("providers", "test", "mine").stdout.startswith("mine: ")
    (specs / "mine.toml").write_text("name = 1")
    result = shell("providers", "list", code=ExitCode.CONFIG)
    assert str(specs / "mine.toml") in result.stderr
    assert "symplify" in result.stdout, "the others are listed"
    assert "Operation statistics" in shell("providers", "show", "symplify").stdout
    assert str(specs / "mine.toml") in shell("providers", "test", "mine", code=ExitCode.CONFIG).stderr
    assert "symplify" in shell("config", "schema").stdout


def test_parameters_inside_others(shell: CommandShell, tmp_path: Path) -> None:
    """What may stand in an object or array is shown too, each under its path."""
    specs = tmp_path / "specs"
    specs.mkdir()
    inside = """
[operations.statistics.params.notes]
type = "array"
help = "notes"
required = false
max_items = 2
[operations.statistics.params.notes.items]
type = "object"
fields = { text = { help = "a note", max_length = 9, contains = "{L}", counted = { "{L}" = 3 } } }
"""
    source = Registry.load().source("symplify").replace('name = "symplify"', 'name = "mine"', 1)
    (specs / "mine.toml").write_text(source + inside)
    shell.config.write_text('[providers]\nfolders = ["specs"]')
    lines = {line.split()[0]: line for line in shell("providers", "show", "mine").stdout.splitlines() if line}
    assert "at most 2 items" in lines["notes"]
    assert "object" in lines["notes[]"]
    assert "at most 9 characters; {L} counts as 3; contains {L}" in lines["notes[].text"]


def test_no_such_provider(shell: CommandShell) -> None:
    """A name that is no provider's is a mistake of usage, and those that there are are named."""
    for command in ("show", "test"):
        assert "symplify" in shell("providers", command, "simplify", code=ExitCode.USAGE).stderr


def test_linting(shell: CommandShell, tmp_path: Path) -> None:
    """Every fault of every file is a line with file, key and reason."""
    (tmp_path / "a.toml").write_text('name = "a"\ncolour = 3\n')
    (tmp_path / "b.toml").write_text("name = \n")
    result = shell("providers", "lint", "a.toml", "b.toml", "gone.toml", code=ExitCode.CONFIG)
    lines = result.stdout.splitlines()
    assert any(line.startswith("a.toml: colour: ") for line in lines)
    assert any(line.startswith("b.toml: line 1") for line in lines)
    assert any(line.startswith("gone.toml: cannot be read") for line in lines)
    assert result.stderr == f"tidewaiter: {len(lines)} faults\n"
    faults = shell.json("providers", "lint", "a.toml", "b.toml", "gone.toml", code=ExitCode.CONFIG)
    assert ("a.toml", "colour") in {(one["file"], one["key"]) for one in faults}
    assert len(faults) == len(lines)


def test_the_examples_of_a_spec(shell: CommandShell, tmp_path: Path) -> None:
    """They are counted, for a built-in spec or a file; tests/providers/examples runs those of the whole catalogue."""
    source = Registry.load().source("symplify")
    number = source.count("[[examples]]")
    wanted = f"symplify: {number} of {number} examples as expected\n"
    assert shell("providers", "test", "symplify").stdout == wanted
    (tmp_path / "mine.toml").write_text(source)
    assert shell("providers", "test", "mine.toml").stdout == wanted


def test_an_example_that_does_not_hold(shell: CommandShell, tmp_path: Path) -> None:
    """A difference is told with what was expected and what came, and ends with 1; a file that is no spec with 78."""
    source = Registry.load().source("symplify").replace('handle = "101111"', 'handle = "999999"', 1)
    (tmp_path / "mine.toml").write_text(source)
    result = shell("providers", "test", "mine.toml", code=ExitCode.FAILED)
    assert "999999" in result.stdout
    assert "101111" in result.stdout
    assert result.stderr == "tidewaiter: 1 example failed\n"
    result = shell("providers", "test", "mine.toml", "--json", code=ExitCode.FAILED)
    (output,) = json.loads(result.stdout)
    assert (output["provider"], output["uncovered"]) == ("symplify", [])
    assert [one["name"] for one in output["examples"] if one["problems"]] == [
        one["name"] for one in output["examples"] if "101111" in str(one["problems"])
    ]
    (tmp_path / "mine.toml").write_text("name = 1")
    shell("providers", "test", "mine.toml", code=ExitCode.CONFIG)


def test_the_schema(shell: CommandShell) -> None:
    """What an editor needs to complete a spec is printed as JSON, and nothing beside it; no configuration is read."""
    shell.config.write_text("broken")
    assert json.loads(shell("providers", "schema").stdout) == spec_schema()
