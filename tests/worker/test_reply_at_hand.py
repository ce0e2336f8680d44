"""A reply that has begun already, as the source of a download: which status a rule's word makes the whole file."""

import pytest

from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.transport.reply_bodies import ReplyBeginning
from tidewaiter.transport.wire import LostReplyError
from tidewaiter.worker.file_download import InlineSource

URL = "https://shop.example.com/report"
REQUEST = WireRequest("GET", URL)


async def _status(source: InlineSource) -> int:
    async with source.stream(REQUEST, send_auth=False) as reply:
        return reply.status


@pytest.mark.parametrize(
    ("status", "certain", "taken_for"),
    [
        (202, True, 200),
        (226, True, 200),
        (202, False, 202),
        (206, True, 206),
        (500, True, 500),
        (200, False, 200),
    ],
)
async def test_a_rule_that_is_certain(status: int, certain: bool, taken_for: int) -> None:
    """It makes the whole file of a 2xx reply with a body; never of a part or an error, and no other rule does."""
    source = InlineSource(ReplyBeginning(WireReply(status, {}, b"rows", URL)), certain=certain)
    assert await _status(source) == taken_for


async def test_it_is_given_once() -> None:
    """A download that asks again is told that the reply is gone."""
    source = InlineSource(ReplyBeginning(WireReply(200, {}, b"rows", URL)))
    await _status(source)
    with pytest.raises(LostReplyError):
        await _status(source)
