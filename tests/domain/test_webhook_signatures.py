"""Standard Webhooks signatures, checked with the reference library and an independent calculation."""

import base64
import hashlib
import hmac
import re

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tidewaiter.clock import SystemClock
from tidewaiter.domain.webhook_signature import keys_of, signed_headers

OLD = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
BODY = '{"type":"job.succeeded","data":{"reason":"réussi"}}'


def test_the_published_vector() -> None:
    """The example that the convention's libraries are tested with."""
    headers = signed_headers(
        keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_library_believes_us() -> None:
    """A receiver that uses the convention's library takes it, and takes nothing that was changed on the way."""
    now = int(SystemClock().now())
    headers = dict(signed_headers(keys_of(NEW), "msg_1", now, BODY.encode()))
    assert Webhook(NEW).verify(BODY, headers)["type"] == "job.succeeded"
    for bad_body, bad_headers in (
        (BODY.replace("succeeded", "failed"), headers),
        (BODY, {**headers, "webhook-id": "msg_2"}),
        (BODY, {**headers, "webhook-timestamp": str(now + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(NEW).verify(bad_body, bad_headers)


def test_two_secrets_while_one_is_changed() -> None:
    """Signed with each, in order: a receiver with the old or the new secret accepts it."""
    now = int(SystemClock().now())
    headers = dict(signed_headers(keys_of(f"{NEW}  {OLD}\n"), "msg_1", now, BODY.encode()))
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(BODY, headers)
    content = f"msg_1.{now}.{BODY}".encode()
    first = base64.b64encode(hmac.new(bytes(range(32, 64)), content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"].split(" ")[0] == f"v1,{first}"


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "is empty"),
        ("hunter2", "must begin with whsec_"),
        (f"{NEW} hunter2", "must begin with whsec_"),
        ("whsec_", "has 0 bytes after whsec_ and needs 24 to 64"),
        ("whsec_aHVudGVyMg==", "has 7 bytes after whsec_ and needs 24 to 64"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "has 65 bytes"),
        ("whsec_hunter2!", "must be base64 after whsec_"),
        ("whsec_hunté", "must be base64 after whsec_"),
    ],
)
def test_secrets_that_are_none(secret: str, reason: str) -> None:
    """Each is refused with what is wanted, and is not repeated."""
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        keys_of(secret)
    assert "hunt" not in str(caught.value)


def test_padding_may_be_left_out() -> None:
    """A secret without its last = is the same secret."""
    assert keys_of(NEW.rstrip("=")) == keys_of(NEW)
