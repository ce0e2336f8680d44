"""An account: whether it is paused, whether its provider can be reached, and whether the provider knows it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from app.clock import Clock
from app.doctor.endpoint import Endpoint, look_at_endpoint
from app.doctor.finding import Notes, Verdict, failure, info, ok, warning
from app.domain.networks import Private
from app.domain.outcome import Refused, Retry, Throttled, Unauthorized
from app.domain.wire import WireReply, WireRequest
from app.providers.defaults import Trouble
from app.providers.headers import parse_http_date
from app.providers.probe import Healthy, Probe, Probed
from app.store.accounts import Pause, PausedBy
from app.transport.errors import TlsError, TransportError

Ask: TypeAlias = Callable[[WireRequest], Awaitable[WireReply | Trouble]]
"""Sends a request as the account's daemon would, signed in and within its limits; what kept it from that otherwise.

Raises ``TransportError`` where the network fails.
"""

_MOST_SKEW_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Examined:
    """An account to look at.

    ``private_ok`` is the account's ``allow_private``. ``standing`` says that the database could be asked for the rest:
    ``pause``, and ``closed``, which is why nothing may be asked for now.
    """

    name: str
    base_url: str
    private_ok: Private
    probe: Probe | None
    ask: Ask
    standing: bool = False
    pause: Pause | None = None
    closed: str | None = None


async def look_at_account(notes: Notes, account: Examined, clock: Clock) -> None:
    """Note how an account stands, and whether it works."""
    if account.standing:
        notes.add("account", standing(account.name, account.pause))
    key = f"accounts.{account.name}.settings"
    permit = f"set accounts.{account.name}.allow_private = true"
    endpoint = Endpoint.of(account.base_url)
    if not await look_at_endpoint(notes, endpoint, clock, private_ok=account.private_ok, key=key, permit=permit):
        return
    if account.probe is None:
        notes.add("login", info("its provider's spec has no probe, so nothing was asked"))
    elif account.closed is not None:
        notes.add("login", warning(f"nothing was asked: {account.closed}", "try again later"))
    else:
        await _look_at_login(notes, account, account.probe, clock)


async def _look_at_login(notes: Notes, account: Examined, probe: Probe, clock: Clock) -> None:
    try:
        reply = await account.ask(probe.request)
    except TransportError as error:
        notes.add("login", unanswered(error))
        return
    now = clock.now()
    if not isinstance(reply, WireReply):
        notes.add("login", answered(reply, account.name, account.pause))
        return
    notes.add("login", answered(probe.read(reply, now), account.name, account.pause))
    said = reply.headers.get("date")
    theirs = None if said is None else parse_http_date(said.strip(), now)
    if theirs is not None:
        notes.add("clock", skew(theirs - now))


# --- verdicts ---------------------------------------------------------------------------------------------------------


def standing(name: str, pause: Pause | None) -> Verdict:
    """Of an account's pause, what it means."""
    if pause is None:
        return ok("is open")
    by = "a person" if pause.by is PausedBy.PERSON else f"its daemon ({pause.by.value})"
    told = f"is paused by {by}, so its jobs wait: {pause.reason}"
    if pause.by is PausedBy.TLS:
        return warning(told, "mend what is said below of tls; the daemon tries again every five minutes")
    mend = f"tidewaiter accounts resume {name}"
    if pause.by is PausedBy.CREDENTIALS:
        return failure(told, f"correct the credentials in accounts.{name}.settings, then: {mend}")
    return warning(told, f"once the reason is gone: {mend}")


def answered(told: Probed, name: str, pause: Pause | None = None) -> Verdict:
    """Of what a provider answered to the probe, whether the account works."""
    resume = "" if pause is None else f", then: tidewaiter accounts resume {name}"
    match told:
        case Healthy():
            return ok("the provider knows the account")
        case Unauthorized(reason):
            mend = f"correct the credentials in accounts.{name}.settings, or have the provider permit them{resume}"
            return failure(f"the provider refuses the credentials: {reason}", mend)
        case Throttled(reason):
            return warning(f"nothing is to be learned for now: {reason}", "try again later")
        case Retry(reason):
            return failure(f"the provider is in trouble: {reason}", "wait, or ask the provider how it is")
        case Refused(reason):
            mend = f"see that accounts.{name}.settings name the right server and account"
            return failure(f"the provider refuses the probe: {reason}", mend)


def unanswered(error: TransportError) -> Verdict:
    """Of an exchange that broke off, what to look at; its text holds no secret."""
    mend = "look at the certificate" if isinstance(error, TlsError) else "look at the network, and at any proxy in it"
    return failure(str(error).rstrip("."), mend)


def skew(seconds: float) -> Verdict:
    """Of a provider's clock that is so far ahead of ours, whether that does harm to signatures and expiries."""
    if abs(seconds) <= _MOST_SKEW_S:
        return ok("the provider's clock and this machine's agree")
    told = f"the provider's clock is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    return warning(told, "let this machine set its clock by NTP; if it does, the provider's is wrong")
