"""What was done: the sentence on the page that a form leads to. The address carries its name only, never its words."""

from typing import Final

from aiohttp import web
from yarl import URL

DONE: Final = "done"

_SENTENCES: Final = {
    "cancelling": "The job was asked to stop; its next step sees to it.",
    "cancelled": "The job was cancelled.",
    "retried": "This new job asks once more for what the job before it asked for.",
    "requeued": "The job is queued again.",
    "adopted": "The job follows that remote job from now on.",
    "hurried": "The provider is asked as soon as its limit permits.",
    "paused": "The account is paused: nothing is asked of its provider until somebody resumes it.",
    "resumed": "The account is resumed; one request finds out whether its provider answers.",
    "ran": "The schedule was asked for now, beside its ticks: this is its job.",
    "signed-out": "You are signed out.",
}


def notice_of(request: web.Request) -> str | None:
    """What the page has to say of what was just done."""
    return _SENTENCES.get(request.query.get(DONE, ""))


def to(path: str, done: str) -> web.HTTPSeeOther:
    """Where a browser goes after a form was taken, so that loading the page again repeats nothing."""
    return web.HTTPSeeOther(str(URL(path).with_query({DONE: done})))
