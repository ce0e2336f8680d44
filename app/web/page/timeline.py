"""A job's history as it is told: what happened, how long after the last thing, and where the time went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.job import TERMINAL, Entry, State

_WORDS: Final = {
    "Submitted": "asked for",
    "Intended": "the intent to submit is kept",
    "Accepted": "the provider took it",
    "Duplicate": "the provider has one like it already",
    "Unsent": "it was not sent",
    "Unknown": "nobody knows whether the provider took it",
    "Adopted": "its remote job was found",
    "Absent": "there is no remote job of it",
    "Undecidable": "nobody can find out",
    "Pending": "not ready yet",
    "Ready": "the provider has finished",
    "FetchStarted": "the download begins",
    "Stored": "every file has landed",
    "LinksExpired": "the links had expired",
    "Cleaned": "the remote job is deleted",
    "Cancelled": "the provider was told",
    "CancelAsked": "somebody asked it to stop",
    "RetryDecided": "a person decided to submit it again",
    "AdoptDecided": "a person found its remote job",
    "CancelRequested": "a person asked it to stop",
    "RetryRequested": "a person asked for it again, as a new job",
    "PollRequested": "a person asked for its next step at once",
    "Retry": "trouble, tried again",
    "Throttled": "the provider asks to be left alone",
    "Unauthorized": "the credentials were refused",
    "Interrupted": "interrupted, nothing is lost",
    "Refused": "the provider refused",
    "Gone": "the remote job is gone",
    "Unmapped": "a reply that no rule knows",
    "DeadlinePassed": "the deadline has passed",
    "StorageFull": "the storage takes nothing",
}

_MOST_FOLDED: Final = 200
_FEW: Final = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened: ``after_s`` seconds after the one before; ``arrived`` where the state changed."""

    entry: Entry
    after_s: float | None
    arrived: bool

    @property
    def words(self) -> str:
        """The outcome in words for people."""
        return _WORDS.get(self.entry.outcome, self.entry.outcome)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Moments that are told one by one, or ``folded`` because they say much the same; ``left_out`` are not told."""

    moments: list[Moment]
    folded: bool = False
    lasts_s: float = 0.0
    left_out: int = 0


def timeline(history: Sequence[Entry]) -> list[Stretch]:
    """A history in order; long runs of entries that change no state are folded, but for their first and their last."""
    told: list[Stretch] = []
    run: list[Moment] = []
    before: Entry | None = None
    for entry in history:
        arrived = before is None or entry.state is not before.state
        moment = Moment(entry, None if before is None else max(0.0, entry.at - before.at), arrived)
        if arrived and run:
            told += _folded(run)
            run = []
        if arrived:
            told.append(Stretch([moment]))
        else:
            run.append(moment)
        before = entry
    return told + _folded(run)


def _folded(run: list[Moment]) -> list[Stretch]:
    if len(run) <= _FEW:
        return [Stretch([moment]) for moment in run]
    middle = run[1:-1]
    lasts_s = sum(moment.after_s or 0.0 for moment in middle)
    kept = middle[:_MOST_FOLDED]
    return [
        Stretch(run[:1]),
        Stretch(kept, folded=True, lasts_s=lasts_s, left_out=len(middle) - len(kept)),
        Stretch(run[-1:]),
    ]


def time_in(history: Sequence[Entry], now: float) -> Mapping[State, float]:
    """How many seconds a job has spent in each state that it passed through, in the order of the first visits."""
    spent: dict[State, float] = {}
    for entry, after in zip(history, [*history[1:], None], strict=False):
        if after is None and entry.state in TERMINAL:
            break
        until = now if after is None else after.at
        spent[entry.state] = spent.get(entry.state, 0.0) + max(0.0, until - entry.at)
    return spent
