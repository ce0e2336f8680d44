"""Replies that may be files themselves: begun in memory, and read to the end only where they are one."""

from contextlib import AsyncExitStack
from dataclasses import replace

from app.domain import outcome as o
from app.domain.wire import WireRequest
from app.transport.budget import Permit
from app.transport.client import untold
from app.transport.stream_replies import Begun
from app.transport.wire import OnSend
from app.worker.fetch import Fetcher
from app.worker.session import SignedClient
from app.worker.source import InlineSource
from app.worker.visit import Visit


async def begin(
    client: SignedClient,
    request: WireRequest,
    stack: AsyncExitStack,
    permit: Permit | None,
    on_send: OnSend = untold,
    *,
    may_be_file: bool,
) -> Begun:
    """Send a request and read its reply up to the body limit.

    Args:
        client: the way to the provider.
        request: without credentials.
        stack: ends the reply.
        permit: one that was taken already.
        on_send: see ``OnSend``.
        may_be_file: whether what is longer than the limit is of use; else nobody reads it.

    Raises:
        TransportError: of the request itself.
        SignInError: there is no token to send it with.
    """
    if may_be_file:
        return await stack.enter_async_context(client.begin(request, permit, on_send))
    return Begun.whole(await client.exchange(request, permit, on_send))


async def land_answer(
    fetcher: Fetcher, visit: Visit, request: WireRequest, inline: o.Inline, begun: Begun
) -> o.Outcome:
    """Land the file that the reply to a submit is; what a submit learned where that fails."""
    repeatable = request.method == "GET"
    # A GET only asks: what is stopped from here on may be asked again.
    visit.sent = visit.sent and not repeatable
    source = InlineSource(begun, certain=inline.certain)
    landed = await fetcher.land_reply(visit.job, visit.operation, inline, source, begun.reply.url)
    if isinstance(landed, o.Stored):
        return landed
    reason = f"the answer could not be kept: {getattr(landed, 'reason', '')}"
    return o.Unsent(reason) if repeatable else o.Unknown(reason)


async def land_polled(fetcher: Fetcher, visit: Visit, seen: o.Inline | o.Empty, begun: Begun) -> o.Outcome:
    """Land the file that the reply to a poll is, or nothing but the manifest, under the handle that the reply gives.

    Returns:
        What the poll learned; where nothing landed, the next one asks again.
    """
    named = visit.job.but(handle=seen.handle or visit.job.handle)
    if isinstance(seen, o.Inline):
        source = InlineSource(begun, certain=seen.certain)
        landed = await fetcher.land_reply(named, visit.operation, seen, source, begun.reply.url)
    else:
        landed = await fetcher.land_nothing(named, seen)
    match landed:
        case o.Stored():
            return replace(landed, handle=seen.handle)
        case o.NotYet(retry_after_s=retry_after_s):
            return o.Pending(retry_after_s=retry_after_s)
        case o.LinksExpired(reason=reason):
            return o.Retry(reason)
        case _:
            return landed
