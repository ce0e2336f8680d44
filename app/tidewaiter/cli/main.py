"""The command ``tidewaiter``: lists every command and loads only the one that runs."""

import os
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from tidewaiter import __version__
from tidewaiter.cli.exit_codes import MEANINGS, ExitCode, command_error_of
from tidewaiter.cli.first_process import end_on_sigterm
from tidewaiter.cli.invocation import COMPLETION_VARIABLE, Invocation, config_option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# The module of each command, and its line in the help, so that `tidewaiter --help` loads none of them.
COMMANDS: Final = {
    "serve": ("tidewaiter.cli.serve", "Run the daemon."),
    "healthcheck": ("tidewaiter.cli.healthcheck", "Check the health of the running daemon."),
    "submit": ("tidewaiter.cli.submit", "Submit an export; the daemon does it."),
    "run": ("tidewaiter.cli.run", "Make one export now, without a daemon."),
    "top": ("tidewaiter.cli.top", "Watch lanes, jobs and landings live in the terminal."),
    "trends": ("tidewaiter.cli.trends", "Show what ended in the last hours, days or weeks."),
    "jobs": ("tidewaiter.cli.jobs", "List, show, cancel, retry, acknowledge, poll and adopt jobs."),
    "batches": ("tidewaiter.cli.batches", "List batches of jobs, show one, wait until it has ended."),
    "backfill": ("tidewaiter.cli.backfills", "Make one job for each window of a span of time."),
    "backfills": ("tidewaiter.cli.backfills", "List, show, pause, resume and cancel backfills."),
    "accounts": ("tidewaiter.cli.accounts", "Show the status of accounts, pause and resume them."),
    "providers": ("tidewaiter.cli.providers", "Show the known remote APIs, and check your own specs."),
    "schedules": ("tidewaiter.cli.schedules", "List recurring jobs and their next ticks, pause or run one."),
    "notifications": ("tidewaiter.cli.notifications", "List notifications of jobs, send them again, test a receiver."),
    "check-config": ("tidewaiter.cli.check_config", "Check the configuration, offline."),
    "config": ("tidewaiter.cli.config", "Show the configuration, create one, print its schema."),
    "doctor": ("tidewaiter.cli.doctor", "Test what the configuration names, and say what to fix."),
    "db": ("tidewaiter.cli.db", "Bring the database up to date, and manage its keys."),
    "demo": ("tidewaiter.cli.demo", "Watch exports of five emulated APIs, from start to end."),
    "emulate": ("tidewaiter.cli.emulate", "Serve an emulated API to test a configuration."),
    "completion": ("tidewaiter.cli.completion", "Print the completion script for a shell."),
}
_CODES: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())


class CommandLine(click.Group):
    """A group that loads commands by name, and turns exceptions into exit codes and messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """Offer the commands without loading them, and the options."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415

        named = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command, or answer a shell's request for completions."""
        end_on_sigterm()
        if COMPLETION_VARIABLE in os.environ:
            from tidewaiter.cli.completion import register  # noqa: PLC0415

            register()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click handles these: usage, --help, and a closed pipe
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except Exception as error:  # noqa: BLE001  # every exception becomes an exit code
            invocation = ctx.ensure_object(Invocation)
            if invocation.debug:
                click.echo(invocation.clean(traceback.format_exc()), err=True)
            failure = command_error_of(error)
            # Configuration errors never contain a value, and "settings.token: is missing" only looks like a secret.
            sentences = str(failure) if failure.code is ExitCode.CONFIG else invocation.clean(str(failure))
            for line in sentences.splitlines():
                click.echo(f"tidewaiter: {line}", err=True)
            ctx.exit(failure.code)


@click.group(cls=CommandLine, epilog=_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tidewaiter", message="%(prog)s %(version)s")
@config_option
def main() -> None:
    """Submit slow exports to remote APIs, wait for them, and land their files whole and checksummed.

    Start with `tidewaiter demo`.
    """


if __name__ == "__main__":
    main(prog_name="tidewaiter")
