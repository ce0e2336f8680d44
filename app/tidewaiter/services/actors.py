"""The actor of a request that changes something: a person, or the daemon itself."""

import unicodedata
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tidewaiter.domain.job import NewJob

LONGEST_NAME: Final = 64
LONGEST_REASON: Final = 500


class Channel(StrEnum):
    """Where a request came from."""

    PAGE = "page"
    API = "api"
    CLI = "cli"
    DAEMON = "daemon"
    """The daemon itself: a schedule submits its job."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The sender of a request: ``name`` is that of its token or of the system's user, ``address`` its address."""

    name: str
    channel: Channel
    address: str | None = None
    reason: str | None = None

    @property
    def history_text(self) -> str | None:
        """The text for a job's history, bounded and without control characters; ``None`` for the daemon."""
        if self.channel is Channel.DAEMON:
            return None
        where = (
            self.channel.value
            if self.address is None
            else f"{self.channel.value}, {one_line(self.address, LONGEST_NAME)}"
        )
        reason = f": {one_line(self.reason, LONGEST_REASON)}" if self.reason else ""
        return f"by {one_line(self.name, LONGEST_NAME)} ({where}){reason}"


DAEMON: Final = Actor("daemon", Channel.DAEMON)


def one_line(text: str, longest: int) -> str:
    """A person's text on one line of at most ``longest`` characters, without what could control a log or a terminal."""
    shown = "".join("\ufffd" if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") else sign for sign in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def requested_by(actor: Actor, new: NewJob) -> NewJob:
    """The same job with the name of who asked for it."""
    return replace(new, context=replace(new.context, requested_by=one_line(actor.name, LONGEST_NAME)))
