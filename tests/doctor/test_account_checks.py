"""Checks of an account: its pause, the reply to the probe, and the provider's clock."""

import pytest

from tidewaiter.database.account_store import Pause, PauseCause
from tidewaiter.doctor.account_checks import failed_probe_result, pause_result, probe_result, provider_clock_result
from tidewaiter.doctor.findings import CheckStatus
from tidewaiter.domain.outcome import Refused, Retry, Throttled, Unauthorized
from tidewaiter.providers.provider import Healthy, Probed
from tidewaiter.transport.wire import LostReplyError, TlsError

PAUSE = Pause("shop", PauseCause.CREDENTIALS, "HTTP 401", 0.0, 60.0, None)


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (Healthy(), CheckStatus.OK, "the provider knows the account"),
        (Unauthorized("HTTP 401"), CheckStatus.FAILURE, "the provider refuses the credentials: HTTP 401"),
        (Refused("HTTP 404"), CheckStatus.FAILURE, "the provider refuses the probe: HTTP 404"),
        (Retry("HTTP 500"), CheckStatus.FAILURE, "the provider has a fault: HTTP 500"),
        (Throttled("HTTP 429"), CheckStatus.WARNING, "the provider accepts no request now: HTTP 429"),
    ],
)
def test_answers(answer: Probed, status: CheckStatus, message: str) -> None:
    """Each kind of answer has its own finding, with one fix unless it is good."""
    verdict = probe_result(answer, "shop")
    assert (verdict.status, verdict.message) == (status, message)
    assert bool(verdict.remedy) is (status is not CheckStatus.OK)


def test_the_fix_for_refused_credentials() -> None:
    """It names where they stand; a paused account must be resumed afterwards as well."""
    refused = Unauthorized("HTTP 401")
    assert "accounts.shop.settings" in probe_result(refused, "shop").remedy
    assert "resume" not in probe_result(refused, "shop").remedy
    assert probe_result(refused, "shop", PAUSE).remedy.endswith(", then: tidewaiter accounts resume shop")


def test_no_answer() -> None:
    """A failure of the network is told in its own words, TLS apart."""
    assert failed_probe_result(LostReplyError("It broke.")).message == "It broke"
    assert "certificate" in failed_probe_result(TlsError("No.")).remedy


@pytest.mark.parametrize(
    ("by", "status", "text", "remedy"),
    [
        (PauseCause.CREDENTIALS, CheckStatus.FAILURE, "by its daemon (credentials)", "tidewaiter accounts resume shop"),
        (PauseCause.PERSON, CheckStatus.WARNING, "by a person", "tidewaiter accounts resume shop"),
        (PauseCause.TLS, CheckStatus.WARNING, "by its daemon (tls)", "tries again"),
    ],
)
def test_pauses(by: PauseCause, status: CheckStatus, text: str, remedy: str) -> None:
    """A pause is told with whose it is and why, and with what ends it; refused credentials are a failure."""
    verdict = pause_result("shop", Pause("shop", by, "because", 0.0, 60.0, None))
    assert verdict.status is status
    assert text in verdict.message
    assert verdict.message.endswith("because")
    assert remedy in verdict.remedy
    assert pause_result("shop", None).status is CheckStatus.OK


@pytest.mark.parametrize(
    ("seconds", "status", "text"),
    [
        (29, CheckStatus.OK, "agree"),
        (-31, CheckStatus.WARNING, "31 s behind"),
        (3600, CheckStatus.WARNING, "3,600 s ahead of"),
    ],
)
def test_clocks(seconds: float, status: CheckStatus, text: str) -> None:
    """Half a minute is what signatures and expiries bear."""
    verdict = provider_clock_result(seconds)
    assert verdict.status is status
    assert text in verdict.message
