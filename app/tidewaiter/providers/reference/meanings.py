"""What the reference says beside the tables: references, expressions, and what the words of rules and outcomes mean."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

BASICS: Final = files(__package__).joinpath("basics.md").read_text("utf-8")

MEANINGS: Final = """\
### What a rule can say

If no rule holds, a reply has [its common meaning](index.md#what-replies-mean-by-themselves).
"""

EFFECTS: Final[Mapping[str, str]] = {
    "accepted": "there is a remote job; its handle is required",
    "duplicate": "the same, but it existed before: other jobs may follow it, too, and no `start` is sent, because "
    "the one that made it starts it (if it still has to be started, write `accepted`); if there is no handle, `adopt` "
    "finds it",
    "ready": "the reply is the file, or lists the files; for a submit without a handle it must be the file",
    "partial": "the same as `ready`; the word, or `partial` if the rule has none, is the job's remote status, and "
    "is in the manifest and the log",
    "empty": "the job succeeds without a file; of a page: the last page, without items",
    "pending": "not ready; of a file or page: the same step again later, limited by the deadline only (`NotYet`)",
    "running": "the same as `pending`",
    "refused": "the job fails; during an `adopt` it is parked; of a login: the account is paused",
    "failed": "the job fails; of a probe: the account does not work",
    "again": "it failed for a passing reason: submit again, later, as [again](#again) says; not in `adopt` and `reuse`",
    "cancelled": "the job fails, because the remote job was cancelled",
    "gone": "there is no such remote job: see `Gone` in [the outcomes](index.md#what-replies-mean-by-themselves)",
    "throttled": "the account sends no requests for a while: see `Throttled` there",
    "unauthorized": "the account waits for a person: see `Unauthorized` there",
    "done": "the remote job has ended, or is gone",
    "unsent": "the API did not act: submit again",
    "unknown": "the outcome is unknown: see [repeatable](index.md#repeatable)",
    "retry": "the same step again later",
    "expired": "poll again, for new links",
    "healthy": "the account works",
}
"""What each word of a rule does; a word without a text is a fault that a test finds."""

OUTCOMES: Final = files(__package__).joinpath("outcomes.md").read_text("utf-8")
