"""What replies mean that bring no answer or no file, by who has sent them: the provider's own origin, or another host.

No other host can throttle or refuse the account, or say that the remote job is gone.
"""

from typing import TypeVar

from app.domain.outcome import Gone, LinksExpired, NotYet, Refused, Retry, Unmapped
from app.domain.wire import Link, WireReply
from app.providers.defaults import (
    BUSY,
    FILE_ENDS,
    FileTrouble,
    Trouble,
    as_said_by_host,
    file_trouble,
    is_success,
    missing_file,
    provider_trouble,
)
from app.providers.effects import ENDING_ENDS
from app.providers.headers import retry_after
from app.providers.messages import Messages
from app.providers.operation import Ending
from app.providers.reading import Reading, host_of, is_own
from app.providers.rules import Rules, Verdict
from app.providers.storage_errors import storage_trouble
from app.providers.urls import origin_of

T = TypeVar("T")


def said(outcome: T, reply: WireReply, own: str) -> T | Retry:
    """What a reply means, by who has sent it; for a step that may be repeated."""
    return outcome if is_own(reply, own) else as_said_by_host(outcome, host_of(reply, own))


def trouble_of(reading: Reading, messages: Messages, *, own: str, now: float) -> Trouble:
    """What a reply means, by its status, that is no answer to a step that may be repeated."""
    wait_s, reason = retry_after(reading.headers, now), messages.reason(reading)
    if is_own(reading, own):
        return provider_trouble(reading.status, reason, wait_s)
    stored = storage_trouble(reading, reason, wait_s, own=False)
    outcome = stored or file_trouble(reading.status, reason, wait_s, own=False, proved=False, named=True)
    # That it wants other credentials than we have says nothing of the remote job either.
    return Retry(reason, wait_s) if reading.status == 401 or isinstance(outcome, LinksExpired | NotYet) else outcome


def polled_by_default(
    reading: Reading, verdict: Verdict | None, messages: Messages, *, own: str, now: float
) -> Gone | Unmapped | Trouble:
    """What a poll learned where no rule matches its reply; ``verdict`` has a word that no rule knows, if any."""
    if reading.malformed and is_success(reading.status):
        return unreadable(reading, messages)
    if reading.status in (404, 410):
        return Gone(messages.reason(reading))
    if 400 <= reading.status < 600:
        return trouble_of(reading, messages, own=own, now=now)
    return Unmapped(messages.unmapped(reading, verdict.word if verdict is not None else None))


def unreadable(reading: Reading, messages: Messages) -> Retry | Refused:
    """Broken JSON may come from a proxy, so it is tried again; what is too large would come again."""
    reason = messages.unread(reading)
    return Retry(reason, unreadable=True) if reading.why is None else Refused(reason)


def ended(step: Ending | None, reading: Reading, messages: Messages, *, own: str, now: float) -> Trouble | None:
    """What stands in the way of the remote job's end, which was asked for; ``None`` where it has ended."""
    verdict = None if step is None else step.rules.judge(reading)
    if verdict is not None and verdict.effect in ENDING_ENDS:
        reason = verdict.reason_with(messages.reason(reading))
        return ENDING_ENDS[verdict.effect](reason, retry_after(reading.headers, now))
    is_done = step is not None and reading.status in step.done
    if is_done or (verdict is not None and verdict.effect == "done"):
        return None
    return trouble_of(reading, messages, own=own, now=now)


def file_reply(
    reading: Reading, link: Link, rules: Rules | None, messages: Messages, *, own: str, named: bool, now: float
) -> FileTrouble | None:
    """What stands in the way of a file; ``None`` where the reply brings it.

    Args:
        reading: the head of the reply, with the first bytes of its body.
        link: the file.
        rules: of the spec, for replies in place of a file.
        messages: says what a person will read.
        own: the provider's own origin. No other host can throttle or refuse the account; it closes but itself.
        named: whether there is a remote job that can be asked for new links.
        now: epoch seconds.
    """
    origin = origin_of(reading.url or link.url)
    # Closed as a host of files, the provider's own origin would be closed to links that the provider named itself.
    host = None if origin == own else origin
    is_word = host is None and not reading.foreign
    wait_s, reason = retry_after(reading.headers, now), messages.reason(reading)
    verdict = None if rules is None else rules.judge(reading)
    if verdict is not None and verdict.effect is not None:
        outcome = FILE_ENDS[verdict.effect](verdict.reason_with(reason), wait_s)
        return outcome if is_word else as_said_by_host(outcome, host)
    stored = storage_trouble(reading, reason, wait_s, own=is_word)
    if stored is not None:
        return stored
    if is_success(reading.status):
        return missing_file(reading.status, wait_s)
    if not is_word and reading.status in BUSY:
        return Retry(reason, wait_s, host=host)
    return file_trouble(reading.status, reason, wait_s, own=is_word, proved=is_word and link.send_auth, named=named)
