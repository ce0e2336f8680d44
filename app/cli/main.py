"""The command ``tidewaiter``: names every command and loads the one that is asked for."""

import os
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from app import __version__
from app.cli.errors import MEANINGS, ExitCode, ended_by
from app.cli.session import COMPLETE, Session, config_option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Where each command is, and its line in the help: so that `tidewaiter --help` need not load a single one of them.
COMMANDS: Final = {
    "serve": ("app.cli.serve", "Run the daemon."),
    "healthcheck": ("app.cli.healthcheck", "Ask the running daemon how it is."),
    "submit": ("app.cli.submit", "Ask for an export; the daemon sees to it."),
    "run": ("app.cli.run", "Make one export here and now, without a daemon."),
    "top": ("app.cli.top", "Watch lanes, jobs and landings live in the terminal."),
    "jobs": ("app.cli.jobs", "List, show, cancel, retry, poll and adopt jobs."),
    "accounts": ("app.cli.accounts", "See how accounts stand, pause and resume them."),
    "providers": ("app.cli.providers", "Show the remote APIs, and check specs of your own."),
    "schedules": ("app.cli.schedules", "List recurring jobs, see when they are due, ask for one now."),
    "notifications": ("app.cli.notifications", "See what receivers were told of jobs, and send it again."),
    "check-config": ("app.cli.check_config", "Say what is wrong with the configuration, offline."),
    "config": ("app.cli.config", "Show the configuration, begin one, describe it to an editor."),
    "doctor": ("app.cli.doctor", "Try what the configuration names, and say what mends it."),
    "db": ("app.cli.db", "Bring the database up to date, and manage its keys."),
    "demo": ("app.cli.demo", "Watch exports of five emulated APIs, from beginning to end."),
    "emulate": ("app.cli.emulate", "Serve an emulated API to try a configuration on."),
    "completion": ("app.cli.completion", "Print the script that lets a shell complete commands and names."),
}
_CODES: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())


class CommandLine(click.Group):
    """A group whose commands are loaded by name, and whose errors end in an exit code and a sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names of the commands, in the order in which they are met."""
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
        """Run as a program: a command, or a shell's question how the line might go on."""
        if COMPLETE in os.environ:
            from app.cli.shells import register  # noqa: PLC0415

            register()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own business: usage, --help, and a reader that has gone
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except Exception as error:  # noqa: BLE001  # the last stop before the exit code
            session = ctx.ensure_object(Session)
            if session.debug:
                click.echo(session.clean(traceback.format_exc()), err=True)
            failure = ended_by(error)
            # Faults of a configuration never hold a value, and "settings.token: is missing" only looks like a secret.
            sentences = str(failure) if failure.code is ExitCode.CONFIG else session.clean(str(failure))
            for line in sentences.splitlines():
                click.echo(f"tidewaiter: {line}", err=True)
            ctx.exit(failure.code)


@click.group(cls=CommandLine, epilog=_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tidewaiter", message="%(prog)s %(version)s")
@config_option
def main() -> None:
    """Submit slow exports to remote APIs, wait for them, and land their files whole and checksummed.

    Begin with `tidewaiter demo`.
    """


if __name__ == "__main__":
    main(prog_name="tidewaiter")
