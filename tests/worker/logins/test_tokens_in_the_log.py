"""No token is in the log or in an error, however many tokens there are."""

from tests.support.stored_jobs import StandingClock
from tests.worker.client_setup import ClientSetup
from tests.worker.login_api import Api
from tidewaiter.domain import outcome as o


async def test_no_token_in_the_log(setup: ClientSetup, clock: StandingClock) -> None:
    """The log tells that the account has signed in, and takes both the token and the one before out of any line."""
    await setup.ask()
    clock.at += 3600.0
    await setup.ask()
    setup.log.emit("account.paused", lane=1, account="shop", reason="canary-token-1 canary-token-2", until_s=1.0)
    log_text = setup.output.getvalue()
    assert log_text.count('"session.renewed"') == 2
    assert "canary" not in log_text


async def test_only_two_tokens_are_remembered(setup: ClientSetup, clock: StandingClock) -> None:
    """A year of tokens does not slow the log down, and no secret of the configuration is forgotten with them."""
    for _ in range(3):
        await setup.ask()
        clock.at += 3600.0
    clean = setup.log.redactor.clean
    assert clean("canary-token-1") == "canary-token-1"
    assert clean("canary-token-2 canary-token-3 canary-password") == "[redacted] [redacted] [redacted]"


async def test_no_token_in_an_error(setup: ClientSetup, api: Api) -> None:
    """A login whose reply holds the token where nobody looks for it is not quoted."""
    api.token_name = "accessKey"
    failure = await setup.failure()
    assert failure == o.Unauthorized("the login failed: HTTP 200, without a token")


async def test_a_passing_secret_of_one_lane_outlives_that_of_another(setup: ClientSetup) -> None:
    """Shards of an account may be given the same token: the log knows it as long as one of them has it."""
    setup.log.add_temporary_secrets("session 7", ["canary-shared"])
    setup.log.add_temporary_secrets("session 8", ["canary-shared"])
    setup.log.add_temporary_secrets("session 7", ["canary-next"])
    assert setup.log.redactor.clean("canary-shared") == "[redacted]"
