"""Verifies the webhooks that Tidewaiter sends, by the Standard Webhooks convention."""

import hmac
from collections.abc import Mapping
from typing import Final

from tidewaiter.client.errors import WebhookError
from tidewaiter.client.webhook_events import WebhookEvent, event_of
from tidewaiter.clock import SystemClock
from tidewaiter.domain.webhook_signature import keys_of, signed_headers

_TOLERANCE_S: Final = 300.0


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, now: float | None = None) -> WebhookEvent:
    """The event in a message, if it was signed with this secret and is not older than five minutes.

    Args:
        secret: the text that the daemon has, which begins with ``whsec_``; several with spaces between them while one
            is replaced.
        headers: of the request; the case of their names does not matter.
        body: exactly as it came.
        now: epoch seconds; the time of the system if left out.

    Raises:
        WebhookError: the message cannot be trusted, or is no event.
        ValueError: the secret is none.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, stamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise WebhookError("the message has no time")
    if abs((SystemClock().now() if now is None else now) - int(stamp)) > _TOLERANCE_S:
        raise WebhookError("the message is too old, or from the future")
    expected = signed_headers(keys_of(secret), message_id, int(stamp), body)["webhook-signature"].split()
    proofs = given.get("webhook-signature", "").encode().split()
    if not any(hmac.compare_digest(one.encode(), proof) for one in expected for proof in proofs):
        raise WebhookError("the message is not signed with this secret")
    return event_of(body)
