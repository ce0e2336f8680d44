"""An operator's backoff is used for every job of the account, with or without a callback."""

from typing import Any

from tests.support.spec_samples import WHOLE, provider_of
from tidewaiter.domain.backoff_and_limits import Backoff, OperationPolicy
from tidewaiter.providers.spec.account_overrides import ScheduleOverride

CALLED = WHOLE.replace('url = "/reports"\n', 'url = "/reports"\nquery = { c = "${callback_url}" }\n') + (
    "[operations.report.schedule]\ninterval_s = 10\nfactor = 2\ncap_s = 100\n"
    "[operations.report.callback]\nfirst_delay_s = 400\ninterval_s = 700\nfactor = 3\ncap_s = 5000\n"
)


def policy(**changes: Any) -> OperationPolicy:
    """The policy of an account with these overrides."""
    account = provider_of(CALLED).bind("shop", {}, schedule=ScheduleOverride(**changes))
    return account.operations["report"].policy


def test_without_an_override_the_spec_holds() -> None:
    """Jobs that may be called back are polled on the slower schedule."""
    assert policy().called_first_delay_s == 400
    assert policy().called_poll == Backoff(700, 3, 5000)


def test_an_interval() -> None:
    """The operator's schedule as a whole."""
    assert policy(interval_s=20).called_poll == policy(interval_s=20).poll == Backoff(20, 2, 100)
    assert policy(interval_s=20, factor=1, cap_s=30).called_poll == Backoff(20, 1, 30)


def test_single_numbers() -> None:
    """A first delay, a cap and a factor by themselves."""
    assert policy(first_delay_s=1).called_first_delay_s == 1
    assert policy(cap_s=60).called_poll == Backoff(700, 3, 60)
    assert policy(factor=1).called_poll == Backoff(700, 1, 5000)


def test_learning() -> None:
    """The spec turns it on or off, and the operator has the last word."""
    off = CALLED.replace("interval_s = 10\n", "interval_s = 10\nlearn = false\n")
    assert policy().learn
    assert not policy(learn=False).learn
    spec = provider_of(off)
    learns = [
        spec.bind("shop", {}, schedule=ScheduleOverride(learn=value)).operations["report"].policy.learn
        for value in (None, True)
    ]
    assert learns == [False, True]
