"""Checks of an account: is it paused, can its provider be reached, and does the provider accept it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tidewaiter.clock import Clock
from tidewaiter.database.account_store import Pause, PauseCause
from tidewaiter.doctor.address_checks import check_endpoint
from tidewaiter.doctor.findings import CheckResult, CheckStatus, Notes, failure, info, ok, warning
from tidewaiter.doctor.network_endpoint import NetworkEndpoint
from tidewaiter.domain.formatting import ago
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.domain.outcome import Refused, Retry, Throttled, Unauthorized, Unmapped
from tidewaiter.providers.key_test import KeyTest
from tidewaiter.providers.provider import Healthy, Probe, Probed
from tidewaiter.providers.replies.reply_defaults import Polled, Trouble
from tidewaiter.providers.replies.reply_headers import parse_http_date
from tidewaiter.transport.connection_settings import ConnectionSettings
from tidewaiter.transport.wire import TlsError, TransportError

Ask: TypeAlias = Callable[[WireRequest], Awaitable[WireReply | Trouble]]
"""Sends a request as the account's daemon would, authenticated and within its limits; returns a trouble if it cannot.

Raises ``TransportError`` if the network fails.
"""

_MOST_SKEW_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class CheckedAccount:
    """An account to check.

    ``private_ok`` is the account's ``allow_private``. ``key_test`` is what may be sent if there is no ``probe``, and is
    sent if ``tests_key``. ``pause_known`` says that the database could be read. It has
    ``pause``, and ``closed``: why no request may be sent now. ``spends_token`` says that each login replaces the
    refresh token, and ``token_at`` since when the database has it; then nothing is sent.
    """

    name: str
    base_url: str
    private_ok: PermittedNetworks
    probe: Probe | None
    ask: Ask
    key_test: KeyTest | None = None
    tests_key: bool = False
    pause_known: bool = False
    pause: Pause | None = None
    closed: str | None = None
    spends_token: bool = False
    token_at: float | None = None


async def check_account(
    notes: Notes, account: CheckedAccount, clock: Clock, connections: ConnectionSettings | None = None
) -> None:
    """Note whether an account is paused, and whether it works."""
    if account.pause_known:
        notes.add("account", pause_result(account.name, account.pause))
    key = f"accounts.{account.name}.settings"
    permit = f"set accounts.{account.name}.allow_private = true"
    endpoint = NetworkEndpoint.of(account.base_url)
    private_ok = account.private_ok
    if not await check_endpoint(
        notes, endpoint, clock, private_ok=private_ok, key=key, permit=permit, connections=connections
    ):
        return
    if account.spends_token:
        notes.add("login", spared_token_result(account.token_at, clock.now()))
        return
    exchange = account.probe or (account.key_test if account.tests_key else None)
    if exchange is None:
        notes.add("login", untested_result(account.name, account.key_test))
    elif account.closed is not None:
        notes.add("login", warning(f"no request was sent: {account.closed}", "try again later"))
    else:
        await _check_login(notes, account, exchange, clock)


async def _check_login(notes: Notes, account: CheckedAccount, exchange: Probe | KeyTest, clock: Clock) -> None:
    try:
        reply = await account.ask(exchange.request)
    except TransportError as error:
        notes.add("login", failed_probe_result(error))
        return
    now = clock.now()
    if not isinstance(reply, WireReply):
        notes.add("login", probe_result(reply, account.name, account.pause))
        return
    if isinstance(exchange, Probe):
        notes.add("login", probe_result(exchange.read(reply, now), account.name, account.pause))
    else:
        notes.add("login", key_test_result(exchange.read(reply, now), reply.status, account.name, account.pause))
    date = reply.headers.get("date")
    provider_now = None if date is None else parse_http_date(date.strip(), now)
    if provider_now is not None:
        notes.add("clock", provider_clock_result(provider_now - now))


# --- results ----------------------------------------------------------------------------------------------------------


def pause_result(name: str, pause: Pause | None) -> CheckResult:
    """What an account's pause means."""
    if pause is None:
        return ok("is open")
    by = "a person" if pause.by is PauseCause.PERSON else f"its daemon ({pause.by.value})"
    message = f"is paused by {by}, so its jobs wait: {pause.reason}"
    if pause.by is PauseCause.TLS:
        return warning(message, "repair what the check tls below reports; the daemon tries again every five minutes")
    remedy = f"tidewaiter accounts resume {name}"
    if pause.by is PauseCause.CREDENTIALS:
        return failure(message, f"correct the credentials in accounts.{name}.settings, then: {remedy}")
    return warning(message, f"once the reason is gone: {remedy}")


def probe_result(reply: Probed, name: str, pause: Pause | None = None) -> CheckResult:
    """Whether the account works, by the provider's reply to the probe."""
    resume = "" if pause is None else f", then: tidewaiter accounts resume {name}"
    match reply:
        case Healthy():
            return ok("the provider knows the account")
        case Unauthorized(reason):
            remedy = f"correct the credentials in accounts.{name}.settings, or have the provider permit them{resume}"
            return failure(f"the provider refuses the credentials: {reason}", remedy)
        case Throttled(reason):
            return warning(f"the provider accepts no request now: {reason}", "try again later")
        case Retry(reason):
            return failure(f"the provider has a fault: {reason}", "wait, or contact the provider")
        case Refused(reason):
            remedy = f"check that accounts.{name}.settings name the right server and account"
            return failure(f"the provider refuses the probe: {reason}", remedy)


def untested_result(name: str, key_test: KeyTest | None) -> CheckResult:
    """What can be done about an account that nothing was sent for, because its provider's spec has no probe."""
    reason = "its provider's spec has no probe, so no request was sent"
    if key_test is None:
        return info(f"{reason}; it has no harmless request that would test the key, so the first export tests it")
    message = (
        f"{reason}; the status request of {key_test.operation} ({key_test.where}), for a job that does not exist, "
        "would test the key and make nothing"
    )
    return CheckResult(CheckStatus.INFO, message, f"tidewaiter doctor --account {name} --test-key")


def spared_token_result(token_at: float | None, now: float) -> CheckResult:
    """Why nothing was sent for an account whose refresh token is replaced by each login."""
    stored = "no login has replaced it yet" if token_at is None else f"the stored one is from {ago(token_at, now)}"
    return info(f"not tried, because a trial would spend the refresh token; {stored}")


def key_test_result(answer: Polled, status: int, name: str, pause: Pause | None = None) -> CheckResult:
    """Whether the account works, by the reply to the status request of a job that does not exist."""
    match answer:
        case Unauthorized() | Throttled() | Retry():
            return probe_result(answer, name, pause)
        case Unmapped():
            message = f"the reply to the status request (HTTP {status}) is not one that the spec knows"
            return warning(message, f"check that accounts.{name}.settings name the right server and account")
        case _:
            return ok(f"the provider did not refuse the key: HTTP {status} for a job that does not exist")


def failed_probe_result(error: TransportError) -> CheckResult:
    """What to check after a request without a reply; the text has no secret."""
    remedy = "check the certificate" if isinstance(error, TlsError) else "check the network, and any proxy in it"
    return failure(str(error).rstrip("."), remedy)


def provider_clock_result(seconds: float) -> CheckResult:
    """Whether a difference of the provider's clock from ours would break signatures and expiries."""
    if abs(seconds) <= _MOST_SKEW_S:
        return ok("the provider's clock and this machine's agree")
    message = f"the provider's clock is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    return warning(message, "let this machine set its clock by NTP; if it does, the provider's is wrong")
