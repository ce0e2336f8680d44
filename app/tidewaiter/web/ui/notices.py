"""The notice of what a form has done: a word in the address of the next page, and its sentence on that page."""

import re
from typing import Final

from aiohttp import web
from yarl import URL

from tidewaiter.domain.formatting import counted
from tidewaiter.services.many_jobs import JobAction, ManyResult

NOTICE: Final = "done"
_NOTICES: Final = {
    "cancelling": "The cancel request is stored; the next step of the job applies it.",
    "cancelled": "The job was cancelled.",
    "acknowledged": "This failure is acknowledged. It no longer counts as unhandled.",
    "retried": "This new job repeats the earlier job.",
    "requeued": "The job is queued again.",
    "adopted": "The job follows that remote job now.",
    "submitted": "The export is requested. This is its job.",
    "known": "There is a job with this unique key already: this one. Nothing was submitted.",
    "polled": "The provider is polled as soon as its limit permits.",
    "paused": "The account is paused: no request is sent to its provider until somebody resumes it.",
    "resumed": "The account is resumed; one request tests first whether its provider responds.",
    "backfill-made": "The backfill is made; a daemon submits its first windows within seconds.",
    "backfill-known": "There is this backfill already, with the same name and plan. Nothing was made.",
    "backfill-paused": "The backfill is paused: no more windows are submitted until somebody resumes it.",
    "backfill-resumed": "The backfill is resumed; a daemon submits its next windows within seconds.",
    "backfill-cancelled": "The backfill is cancelled; each of its jobs stops with its next step.",
    "schedule-paused": "The schedule is paused: its ticks are not served until somebody resumes it.",
    "schedule-resumed": "The schedule is resumed.",
    "test-accepted": "The endpoint accepted the test message.",
    "notified-again": "They are due now; a daemon sends them within seconds.",
    "ran": "The schedule was run now, in addition to its ticks. This is its job.",
    "signed-out": "You are signed out.",
}
_MANY_DONE: Final = re.compile(r"(retry|cancel|poll|acknowledge)-(\d{1,6})-(\d{1,6})-([01])")
VERBS: Final = {
    JobAction.RETRY: ("Retry", "retried"),
    JobAction.CANCEL: ("Cancel", "cancelled, or will be with their next step"),
    JobAction.POLL: ("Poll now", "made due now"),
    JobAction.ACKNOWLEDGE: ("Acknowledge", "acknowledged"),
}


def notice_of(request: web.Request) -> str | None:
    """The notice of the page, if the address names one."""
    done = request.query.get(NOTICE, "")
    return _NOTICES.get(done) or _many_notice(done)


def redirect_after(path: str, done: str) -> web.HTTPSeeOther:
    """The redirect after a form, so that loading the page again repeats nothing."""
    return web.HTTPSeeOther(str(URL(path).with_query({NOTICE: done})))


def done_to_many(action: JobAction, result: ManyResult) -> str:
    """What an action did to many jobs, as a word of the address; :func:`notice_of` reads it."""
    return f"{action}-{len(result.done)}-{len(result.refused)}-{int(result.more)}"


def _many_notice(done: str) -> str | None:
    """What was done to many jobs, in a sentence."""
    found = _MANY_DONE.fullmatch(done)
    if found is None:
        return None
    count, refused, more = int(found[2]), int(found[3]), found[4] == "1"
    sentence = f"{counted(count, 'job was', 'jobs were')} {VERBS[JobAction(found[1])][1]}."
    if refused:
        sentence += f" {counted(refused, 'job was', 'jobs were')} refused: the status did not permit it any more."
    return f"{sentence} More jobs match: repeat it to continue." if more else sentence
