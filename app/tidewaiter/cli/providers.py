"""``tidewaiter providers``: shows the known remote APIs, and checks the specs that describe them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.text import Text

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import CommandGroup, Invocation, config_option, debug_option, example, pass_invocation
from tidewaiter.cli.output import json_option, show_json, show_table, table
from tidewaiter.domain.formatting import counted
from tidewaiter.providers.checks.spec_lint import lint, read_spec
from tidewaiter.providers.errors import SpecError, SpecFault
from tidewaiter.providers.examples.hints import hints_of, never_true
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.providers.spec.parameter_spec import ParameterSpec
from tidewaiter.providers.spec.provider_spec import spec_schema
from tidewaiter.providers.spec.value_spec import SettingSpec, ValueSpec
from tidewaiter.toml_file import TomlError, read_text

_VERIFIED: Final = {
    "documentation": "written from the documentation, and not run against a server",
    "emulator": "run against an emulator of the API",
    "server": "run against a server of the API",
}


@click.group(cls=CommandGroup)
@debug_option
def providers() -> None:
    """Show the known remote APIs, and check your own specs."""


@providers.command("list", epilog=example("tidewaiter providers list"))
@json_option
@config_option
@pass_invocation
def list_providers(invocation: Invocation, /, *, as_json: bool) -> None:
    """List the built-in providers, and those of the configuration's folders.

    "Verified" says how a spec was checked: against the documentation only, an emulator, or a real server.

    Specs with faults are left out, and told on stderr; the exit code is then 78.
    """
    registry = _registry(invocation)
    _list([registry.get(name) for name in registry.names()], invocation, as_json=as_json)
    if registry.broken:
        raise SpecError(fault for faults in registry.broken.values() for fault in faults)


def _list(found: list[Provider], invocation: Invocation, *, as_json: bool) -> None:
    if as_json:
        from tidewaiter.services.resource_json import provider_line_json  # noqa: PLC0415  # help and completion do without

        accounts = {} if invocation.find_config() is None else invocation.load().accounts
        lines = [
            provider_line_json(one, (name for name, account in accounts.items() if account.provider == one.name))
            for one in found
        ]
        show_json({"providers": lines})
        return
    made = table("provider", "title", "verified", "operations")
    for provider in found:
        made.add_row(provider.name, provider.title, provider.spec.verified or "", ", ".join(provider.operations))
    show_table(made, below=("title", "operations"))


@providers.command(
    epilog=example("tidewaiter providers show NAME", "tidewaiter providers show NAME --toml > specs/mine.toml")
)
@click.argument("name", shell_complete=name_completion.providers)
@click.option("--toml", "as_toml", is_flag=True, help="Print the spec itself.")
@json_option
@config_option
@pass_invocation
def show(invocation: Invocation, /, *, name: str, as_toml: bool, as_json: bool) -> None:
    """Show the settings of a provider's accounts, and its operations with their parameters."""
    if as_toml and as_json:
        raise click.UsageError("give one of --toml and --json")
    provider = _named(invocation, name)
    if as_toml:
        click.echo(provider.source, nl=False)
    elif as_json:
        from tidewaiter.services.resource_json import provider_json  # noqa: PLC0415

        values = provider.spec.account.items()
        settings = {name: value.model_dump(mode="json", exclude_none=True) for name, value in values}
        show_json({**provider_json(provider), "file": provider.file, "settings": settings})
    else:
        _show(provider)


@providers.command("lint", epilog=example("tidewaiter providers lint specs/*.toml"))
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
@debug_option
def lint_files(*, file: tuple[Path, ...], as_json: bool) -> None:
    """Check specs: every fault at once, with file, key and reason.

    Faults are also parts that are permitted, but cannot mean what they seem to, such as a rule that never decides. The
    exit code is 78 if there is one.
    """
    faults = [fault for path in file for fault in lint(path)]
    if as_json:
        show_json([asdict(fault) for fault in faults])
        if faults:
            raise CommandError(ExitCode.CONFIG)
        return
    for fault in faults:
        click.echo(str(fault))
    if faults:
        raise CommandError(ExitCode.CONFIG, counted(len(faults), "fault"))
    click.echo(f"{counted(len(file), 'spec')}: no fault")


@providers.command(epilog=example("tidewaiter providers test specs/mine.toml", "tidewaiter providers test NAME"))
@click.argument("what", metavar="FILE_OR_NAME", nargs=-1, required=True, shell_complete=name_completion.providers)
@json_option
@config_option
@pass_invocation
def test(invocation: Invocation, /, *, what: tuple[str, ...], as_json: bool) -> None:
    """Run the examples inside specs: recorded replies, and their expected outcomes.

    It also names the steps and rules that no example uses, the expressions that find nothing in any example, waits in a
    text that need `unit`, and requests that start a remote job and do not know the reply "it runs already".
    The exit code is 1 if an outcome differs.
    """
    providers = [_provider(invocation, one) for one in what]
    if as_json:
        results = [_run_as_json(provider) for provider in providers]
        show_json(results)
        failed = sum(bool(example["problems"]) for one in results for example in one["examples"])
    else:
        failed = sum(map(_run, providers))
    if failed:
        raise CommandError(ExitCode.FAILED, f"{counted(failed, 'example')} failed")


@providers.command(epilog=example("tidewaiter providers schema > spec.schema.json"))
@debug_option
def schema() -> None:
    """Print the JSON Schema of specs, for editors."""
    show_json(spec_schema())


def _registry(invocation: Invocation) -> Registry:
    """The providers of the configuration; the built-in ones if there is no configuration."""
    return Registry.load_usable(() if invocation.find_config() is None else invocation.load().providers.folders)


def _named(invocation: Invocation, name: str) -> Provider:
    # `show NAME --toml > specs/mine.toml`: the shell creates the file first, and an empty file is not a spec.
    built_in = Registry.load()
    return (built_in if name in built_in.names() else _registry(invocation)).get(name)


def _provider(invocation: Invocation, what: str) -> Provider:
    path = Path(what)
    if not path.is_file():
        return _registry(invocation).get(what)
    try:
        source = read_text(path)
    except TomlError as error:
        raise SpecError([SpecFault(what, error.place, error.reason)]) from None
    spec, faults = read_spec(what, source)
    if spec is None:
        raise SpecError(faults)
    return Provider(spec, source, what)


def _run(provider: Provider) -> int:
    """Print the results of a provider's examples; returns how many failed."""
    results = run_examples(provider)
    for result in results:
        if not result.ok:
            click.echo(str(result))
    failed = sum(not result.ok for result in results)
    click.echo(f"{provider.name}: {len(results) - failed} of {len(results)} examples as expected")
    for key in uncovered_rules(provider):
        click.echo(f"{provider.name}: {key} is shown by no example")
    for hint in hints_of(provider):
        click.echo(f"{provider.name}: {hint}")
    return failed


def _run_as_json(provider: Provider) -> dict[str, Any]:
    results = [{"key": one.key, "name": one.name, "problems": list(one.problems)} for one in run_examples(provider)]
    unused = {"uncovered": uncovered_rules(provider), "never_true": never_true(provider), "hints": hints_of(provider)}
    return {"provider": provider.name, "examples": results, **unused}


def _show(provider: Provider) -> None:
    spec = provider.spec
    click.echo(f"{spec.name}: {spec.title}")
    for address in spec.documentation:
        click.echo(f"  {address}")
    if spec.verified is not None:
        click.echo(f"  verified: {_VERIFIED[spec.verified]}")
    click.echo("\nSettings of an account:\n")
    _show_values("setting", spec.account)
    for name, operation in spec.operations.items():
        click.echo(f"\nOperation {name}: {operation.title}\n")
        _show_values("parameter", operation.params)


def _show_values(kind: str, values: Mapping[str, ValueSpec]) -> None:
    if not values:
        click.echo("none")
        return
    made = table(kind, "type", "required", "permitted", "default", "what it is")
    for name, value in _every(values):
        secret = ", secret" if isinstance(value, SettingSpec | ParameterSpec) and value.secret else ""
        made.add_row(
            name, f"{value.type}{secret}", _required(value), _permitted(value), _default(value), Text(value.help)
        )
    show_table(made, below=("what it is", "permitted", "default"))


def _every(values: Mapping[str, ValueSpec]) -> Iterator[tuple[str, ValueSpec]]:
    """The values of a table, and after each its nested values, named by their paths."""
    for name, value in values.items():
        yield name, value
        yield from _inside(name, value)


def _inside(path: str, value: ValueSpec) -> Iterator[tuple[str, ValueSpec]]:
    if isinstance(value, ParameterSpec):
        yield from _every({f"{path}.{name}": field for name, field in value.fields.items()})
        if value.items is not None:
            yield f"{path}[]", value.items
            yield from _inside(f"{path}[]", value.items)


def _required(value: ValueSpec) -> str:
    if not value.required or value.default is not None:
        return "no"
    where = " and ".join(f"{name} is {_spelled(needed)}" for name, needed in value.when.items())
    return f"where {where}" if where else "yes"


def _permitted(value: ValueSpec) -> Text:
    parts = [f"one of {', '.join(value.enum)}"] if value.enum else []
    if isinstance(value, ParameterSpec) and value.more:
        parts.append("others are sent with a warning")
    if value.pattern is not None:
        parts.append(f"pattern {value.pattern}")
    if value.excludes is not None:
        parts.append(f"but not {value.excludes}")
    if value.max_length is not None:
        parts.append(f"at most {value.max_length} characters")
        parts += [f"{text} counts as {worth}" for text, worth in value.counted.items()]
    if value.contains:
        parts.append(f"contains {' and '.join(value.contains)}")
    if isinstance(value, ParameterSpec) and value.max_items is not None:
        parts.append(f"at most {value.max_items} items")
    return Text("; ".join(parts))


def _default(value: ValueSpec) -> str:
    return "" if value.default is None else _spelled(value.default)


def _spelled(value: object) -> str:
    """A value as the configuration file spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
