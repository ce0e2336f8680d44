"""What is said of an account: its pause, what its provider answers to the probe, and the provider's clock."""

import pytest

from app.doctor.account import answered, skew, standing, unanswered
from app.doctor.finding import Status
from app.domain.outcome import Refused, Retry, Throttled, Unauthorized
from app.providers.probe import Healthy, Probed
from app.store.accounts import Pause, PausedBy
from app.transport.errors import LostReplyError, TlsError

PAUSE = Pause("shop", PausedBy.CREDENTIALS, "HTTP 401", 0.0, 60.0, None)


@pytest.mark.parametrize(
    ("told", "status", "message"),
    [
        (Healthy(), Status.OK, "the provider knows the account"),
        (Unauthorized("HTTP 401"), Status.FAILURE, "the provider refuses the credentials: HTTP 401"),
        (Refused("HTTP 404"), Status.FAILURE, "the provider refuses the probe: HTTP 404"),
        (Retry("HTTP 500"), Status.FAILURE, "the provider is in trouble: HTTP 500"),
        (Throttled("HTTP 429"), Status.WARNING, "the provider cannot be asked now: HTTP 429"),
    ],
)
def test_answers(told: Probed, status: Status, message: str) -> None:
    """Each kind of answer is told apart, and but for the good one has one mend."""
    verdict = answered(told, "shop")
    assert (verdict.status, verdict.message) == (status, message)
    assert bool(verdict.mend) is (status is not Status.OK)


def test_the_mend_of_refused_credentials() -> None:
    """It names where they stand; a paused account must be resumed afterwards as well."""
    refused = Unauthorized("HTTP 401")
    assert "accounts.shop.settings" in answered(refused, "shop").mend
    assert "resume" not in answered(refused, "shop").mend
    assert answered(refused, "shop", PAUSE).mend.endswith(", then: tidewaiter accounts resume shop")


def test_no_answer() -> None:
    """A failure of the network is told in its own words, TLS apart."""
    assert unanswered(LostReplyError("It broke.")).message == "It broke"
    assert "certificate" in unanswered(TlsError("No.")).mend


@pytest.mark.parametrize(
    ("by", "status", "told", "mend"),
    [
        (PausedBy.CREDENTIALS, Status.FAILURE, "by its daemon (credentials)", "tidewaiter accounts resume shop"),
        (PausedBy.PERSON, Status.WARNING, "by a person", "tidewaiter accounts resume shop"),
        (PausedBy.TLS, Status.WARNING, "by its daemon (tls)", "tries again"),
    ],
)
def test_pauses(by: PausedBy, status: Status, told: str, mend: str) -> None:
    """A pause is told with whose it is and why, and with what ends it; refused credentials are a failure."""
    verdict = standing("shop", Pause("shop", by, "because", 0.0, 60.0, None))
    assert verdict.status is status
    assert told in verdict.message
    assert verdict.message.endswith("because")
    assert mend in verdict.mend
    assert standing("shop", None).status is Status.OK


@pytest.mark.parametrize(
    ("seconds", "status", "told"),
    [(29, Status.OK, "agree"), (-31, Status.WARNING, "31 s behind"), (3600, Status.WARNING, "3,600 s ahead of")],
)
def test_clocks(seconds: float, status: Status, told: str) -> None:
    """Half a minute is what signatures and expiries bear."""
    verdict = skew(seconds)
    assert verdict.status is status
    assert told in verdict.message
