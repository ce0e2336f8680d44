"""What a fault is: which exchanges it can meet, what it does to the honest answer, and what it may mean for the job."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal, TypeAlias

from tests.lying.answers import Answer, Request, Script
from tests.lying.plan import LISTS, FilePlan, Plan

if TYPE_CHECKING:
    from tests.lying.remote import Remote

JSONS = frozenset(
    {"login", "search", "before", "submit", "adopt", "start", "poll", "resolve", "folders", "folder", "cleanup"}
    | {"cancel"}
)
FILES = frozenset({"file", "inline", "answer"})
"""Where a file is the body: from a link, in the reply to a poll, in the reply to a submit."""
GETS = frozenset({"poll", "resolve", "page", "file", "inline", "answer", "adopt", "search", "folders", "folder"})
EVERY = JSONS | FILES | {"page"}

Clarity: TypeAlias = Literal["harmless", "maybe", "refused", "unclear"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange that meets a fault: its kind, the request, the honest answer, chance, and the remote."""

    kind: str
    request: Request
    answer: Answer
    rand: Random
    remote: "Remote"

    @property
    def number(self) -> int:
        """Which file is asked for."""
        return int(self.kind.removeprefix("file")) if self.kind.startswith("file") else 0


Play: TypeAlias = Callable[[Exchange], Script]
Fits: TypeAlias = Callable[[Plan, FilePlan | None], bool]


def always(_plan: Plan, _file: FilePlan | None) -> bool:
    """For faults that can be told in every file."""
    return True


def announced(plan: Plan, file: FilePlan | None) -> bool:
    """For faults that only an announced size or digest can tell."""
    return file is not None and file.announced and plan.shape in LISTS


def proved(plan: Plan, file: FilePlan | None) -> bool:
    """For faults that only an announced digest can tell."""
    return file is not None and file.proved and plan.shape in LISTS


@dataclass(frozen=True, slots=True)
class Trick:
    """One kind of fault.

    Args:
        name: how plans and transcripts call it.
        on: which exchanges it can meet.
        play: gives the script in place of the honest one.
        says: a regex, in lower case, for the reason of a job that ended because of it.
        of_submit: what a submit that met it is known to be: done (harmless), not done (refused), unclear, or done
            though a client is free not to read the reply (maybe).
        fatal: the exchanges after which the job may end otherwise than with success, by the documented meaning of
            replies (docs/providers/index.md); anywhere else the job has to go on.
        fits: whether a correct client can know that something is wrong at all.
        first: changes the remote before the honest answer is made.
        runs: how often in a row it comes at most.
        own: whether it is of one mechanism only, so that it is drawn more often.
    """

    name: str
    on: frozenset[str]
    play: Play
    says: str
    of_submit: Clarity = "unclear"
    fatal: frozenset[str] = frozenset()
    fits: Fits = always
    first: "Callable[[Remote, str], None] | None" = None
    runs: int = 1
    own: bool = False
