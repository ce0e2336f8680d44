"""``tidewaiter completion``: prints the script with which a shell completes commands, options and names."""

from typing import Final

import click

from app.cli.session import COMPLETE, debug_option, example
from app.cli.shells import SHELLS

_NAME: Final = "tidewaiter"
_EXAMPLES: Final = example(
    "tidewaiter completion bash > ~/.local/share/bash-completion/completions/tidewaiter",
    "tidewaiter completion zsh > ~/.zfunc/_tidewaiter",
    "tidewaiter completion fish > ~/.config/fish/completions/tidewaiter.fish",
)
_PLACES: Final = """

\b
Where the script goes:
  bash  Where bash-completion is installed, the file above is found. Elsewhere,
        in ~/.bashrc: source <(tidewaiter completion bash)
        It takes bash 4.4 or newer.
  zsh   The folder must stand in fpath before compinit is called, in ~/.zshrc:
        fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit
  fish  The file above is found.
"""


@click.command(epilog=_EXAMPLES + _PLACES)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@debug_option
def completion(*, shell: str) -> None:
    """Print the completion script for a shell.

    It completes commands, options, states and files, and the names of the configuration: accounts, their operations,
    the parameters of an operation after -p with their permitted values, schedules, endpoints and providers. The script
    stays valid when the configuration changes.
    """
    program = click.get_current_context().find_root().command
    click.echo(SHELLS[shell](program, {}, _NAME, COMPLETE).source(), nl=False)
