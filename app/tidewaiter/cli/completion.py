"""``tidewaiter completion``: prints the script with which bash, zsh or fish completes commands, options and names.

Click's own scripts put a blank behind ``name=``, and bash splits words at ``=`` and ``:``; these scripts and classes
correct both. https://click.palletsprojects.com/en/stable/shell-completion/
"""

import os
import re
from typing import Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from tidewaiter.cli.invocation import COMPLETION_VARIABLE, debug_option, example

_BROKEN_LINE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_BASH: Final = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("$value")
                if [[ $value == *= ]]; then compopt -o nospace; fi
                ;;
        esac
    done < <(
        env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" %(complete_var)s=bash_complete "$1" 2>/dev/null
    )
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH: Final = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a answer plain described unfinished
    local kind value about
    answer=("${(@f)$(COMP_WORDS="${(F)words}" COMP_CWORD=$((CURRENT - 1)) \\
        %(complete_var)s=zsh_complete ${words[1]} 2>/dev/null)}")
    for kind value about in "${answer[@]}"; do
        case $kind in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ $value == *= ]]; then
                    unfinished+=("$value")
                elif [[ $about == _ ]]; then
                    plain+=("$value")
                else
                    described+=("$value:$about")
                fi
                ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    (( $#unfinished )) && compadd -U -S '' -V unsorted -a unfinished
}

# Later calls use the function itself; when zsh has just loaded this file, the first answer is due now.
compdef %(complete_func)s %(prog_name)s
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
fi
"""

_FISH: Final = """\
function %(complete_func)s
    set -l answer (env COMP_WORDS=(commandline --current-process --cut-at-cursor | string collect) \\
        COMP_CWORD=(commandline --current-token --cut-at-cursor) \\
        %(complete_var)s=fish_complete %(prog_name)s 2>/dev/null)
    for line in $answer
        set -l parts (string split --max 1 , -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Whole(ShellComplete):
    """Offers the whole of ``--option=value``, of which click offers only the value, and no text with a line break."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """The completions of a word."""
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        for one in found if equals and option.startswith("-") else ():
            one.value = f"{option}={one.value}"
        for one in found:
            one.help = one.help and _BROKEN_LINE.sub(" ", one.help)
        return [one for one in found if not _BROKEN_LINE.search(one.value)]


class Bash(_Whole, BashComplete):
    """Bash 4.4 or newer. It passes the line up to the cursor, because bash splits words differently."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one to be completed, and that one, as the shell passes them to the command."""
        # The added "x" becomes part of the last word, or a word of its own if the last one is complete.
        *words, last = split_arg_string(f"{os.environ['COMP_LINE']}x")
        return words[1:], last[:-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """The completions of bash's last word, without the part before a split, which is already there."""
        own_word = "".join(split_arg_string(os.environ["COMP_WORD"])[:1]).lstrip("=:")
        present = len(incomplete) - len(own_word)
        found = super().get_completions(args, incomplete)
        for one in found:
            if one.type == "plain":
                one.value = one.value[present:]
        return found


class Zsh(_Whole, ZshComplete):
    """Zsh."""

    source_template = _ZSH


class Fish(_Whole, FishComplete):
    """Fish."""

    source_template = _FISH


SHELLS: Final = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def register() -> None:
    """Make click use these classes."""
    for name, shell in SHELLS.items():
        add_completion_class(shell, name)


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
    click.echo(SHELLS[shell](program, {}, _NAME, COMPLETION_VARIABLE).source(), nl=False)
