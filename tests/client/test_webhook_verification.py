"""The client trusts webhooks that were signed with its secret, and no others."""

from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.ended_job import AT, FILE, JOB
from tests.support.webhook_receiver import SECRET
from tidewaiter.client import WebhookError, verify_webhook
from tidewaiter.client.webhook_events import event_of
from tidewaiter.domain.notification import body_of
from tidewaiter.domain.webhook_signature import keys_of, signed_headers

BODY = body_of(JOB, AT, [FILE], 1)
NOW = 1_750_000_000
EVENT = event_of(BODY.encode())
OTHER = "whsec_" + "A" * 44


def _headers(**changes: str) -> dict[str, str]:
    made = {
        "Webhook-Id": "msg_1",
        "WEBHOOK-TIMESTAMP": str(NOW),
        "webhook-signature": Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY),
    }
    return {**made, **{name.replace("_", "-"): value for name, value in changes.items()}}


def test_what_is_signed_is_trusted() -> None:
    """By the convention's own library, by us with two secrets, and with two secrets at the receiver."""
    assert verify_webhook(SECRET, _headers(), BODY.encode(), NOW + 299) == EVENT
    assert verify_webhook(f"{OTHER} {SECRET}", _headers(), BODY.encode(), NOW) == EVENT
    both = signed_headers(keys_of(f"{OTHER} {SECRET}"), "msg_1", NOW, BODY.encode())
    assert verify_webhook(SECRET, both, BODY.encode(), NOW) == EVENT


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        (_headers(), BODY.replace('"id":7', '"id":8'), NOW),
        (_headers(), BODY, NOW + 301),
        (_headers(), BODY, NOW - 301),
        (_headers(webhook_signature=""), BODY, NOW),
        (_headers(webhook_signature="v1,ä"), BODY, NOW),
        ({**_headers(), "Webhook-Id": "msg_2"}, BODY, NOW),
        ({}, BODY, NOW),
        ({"webhook-timestamp": "٣"}, BODY, NOW),
    ],
)
def test_anything_else_is_not(headers: dict[str, str], body: str, now: float) -> None:
    """Another body, id or time, an old message, and one without a signature."""
    with pytest.raises(WebhookError):
        verify_webhook(SECRET, headers, body.encode(), now)


def test_another_secret() -> None:
    """A message by another secret is not trusted, and a secret that is none is told."""
    with pytest.raises(WebhookError):
        verify_webhook(OTHER, _headers(), BODY.encode(), NOW)
    with pytest.raises(ValueError, match="must begin with whsec_"):
        verify_webhook("secret", _headers(), BODY.encode(), NOW)
    with pytest.raises(WebhookError, match="too old"):
        verify_webhook(SECRET, _headers(), BODY.encode())
