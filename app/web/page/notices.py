"""Notices: the sentence about a completed action on the page after a form. The address holds only its name."""

from typing import Final

from aiohttp import web
from yarl import URL

DONE: Final = "done"

_SENTENCES: Final = {
    "cancelling": "The cancel request is stored; the next step of the job applies it.",
    "cancelled": "The job was cancelled.",
    "retried": "This new job repeats the earlier job.",
    "requeued": "The job is queued again.",
    "adopted": "The job follows that remote job now.",
    "polled": "The provider is polled as soon as its limit permits.",
    "paused": "The account is paused: no request is sent to its provider until somebody resumes it.",
    "resumed": "The account is resumed; one request tests first whether its provider responds.",
    "ran": "The schedule was run now, in addition to its ticks. This is its job.",
    "signed-out": "You are signed out.",
}


def notice_of(request: web.Request) -> str | None:
    """The notice of the page, if the address names one."""
    return _SENTENCES.get(request.query.get(DONE, ""))


def to(path: str, done: str) -> web.HTTPSeeOther:
    """The redirect after a form, so that loading the page again repeats nothing."""
    return web.HTTPSeeOther(str(URL(path).with_query({DONE: done})))
