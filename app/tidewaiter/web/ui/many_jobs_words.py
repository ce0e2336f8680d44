"""The words for one action on many jobs: its button, and what was done."""

import re
from typing import Final

from tidewaiter.domain.formatting import counted
from tidewaiter.services.many_jobs import JobAction

_DONE: Final = re.compile(r"(retry|cancel|poll|acknowledge)-(\d{1,6})-(\d{1,6})-([01])")
VERBS: Final = {
    JobAction.RETRY: ("Retry", "retried"),
    JobAction.CANCEL: ("Cancel", "cancelled, or will be with their next step"),
    JobAction.POLL: ("Poll now", "made due now"),
    JobAction.ACKNOWLEDGE: ("Acknowledge", "acknowledged"),
}


def many_notice(done: str) -> str | None:
    """What was done, in a sentence, from the address after the form."""
    found = _DONE.fullmatch(done)
    if found is None:
        return None
    count, refused, more = int(found[2]), int(found[3]), found[4] == "1"
    sentence = f"{counted(count, 'job was', 'jobs were')} {VERBS[JobAction(found[1])][1]}."
    if refused:
        sentence += f" {counted(refused, 'job was', 'jobs were')} refused: the status did not permit it any more."
    return f"{sentence} More jobs match: repeat it to continue." if more else sentence
