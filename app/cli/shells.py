"""How bash, zsh and fish ask for completions: their scripts, and what they need beyond click's own protocol.

Loaded only where a shell asks. The scripts are of our own because those of click put a blank behind ``name=``, and
because bash splits words at ``=`` and ``:``, which has to be undone on this side.
https://click.palletsprojects.com/en/stable/shell-completion/
"""

import os
import re
from typing import Final

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

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

# From now on the function itself is called; where zsh has just loaded this file for a first answer, it has to be given.
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
    """Offers the whole of ``--option=value``, of which click offers the value, and keeps an answer on its lines."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """What the word may become."""
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        for one in found if equals and option.startswith("-") else ():
            one.value = f"{option}={one.value}"
        for one in found:
            one.help = one.help and _BROKEN_LINE.sub(" ", one.help)
        return [one for one in found if not _BROKEN_LINE.search(one.value)]


class Bash(_Whole, BashComplete):
    """Bash 4.4 or newer. It is asked for the line up to the cursor, because its words are not the command's."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one to be completed, and that one, as the shell will pass them to the command."""
        # Whatever follows the line stands in its last word, or is a word of its own where that one is complete.
        *words, last = split_arg_string(f"{os.environ['COMP_LINE']}x")
        return words[1:], last[:-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """What the last of bash's words may become: what stands before a splitter is there already."""
        own_word = "".join(split_arg_string(os.environ["COMP_WORD"])[:1]).lstrip("=:")
        there_already = len(incomplete) - len(own_word)
        found = super().get_completions(args, incomplete)
        for one in found:
            if one.type == "plain":
                one.value = one.value[there_already:]
        return found


class Zsh(_Whole, ZshComplete):
    """Zsh."""

    source_template = _ZSH


class Fish(_Whole, FishComplete):
    """Fish."""

    source_template = _FISH


SHELLS: Final = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def register() -> None:
    """Let these classes answer."""
    for name, shell in SHELLS.items():
        add_completion_class(shell, name)
