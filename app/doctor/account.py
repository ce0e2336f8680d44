"""Checks of an account: is it paused, can its provider be reached, and does the provider accept it."""

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
"""Sends a request as the account's daemon would, authenticated and within its limits; returns a trouble if it cannot.

Raises ``TransportError`` if the network fails.
"""

_MOST_SKEW_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Examined:
    """An account to check.

    ``private_ok`` is the account's ``allow_private``. ``standing`` says that the database could be read. It gives
    ``pause``, and ``closed``: why no request may be sent now.
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
    """Note whether an account is paused, and whether it works."""
    if account.standing:
        notes.add("account", standing(account.name, account.pause))
    key = f"accounts.{account.name}.settings"
    permit = f"set accounts.{account.name}.allow_private = true"
    endpoint = Endpoint.of(account.base_url)
    if not await look_at_endpoint(notes, endpoint, clock, private_ok=account.private_ok, key=key, permit=permit):
        return
    if account.probe is None:
        notes.add("login", info("its provider's spec has no probe, so no request was sent"))
    elif account.closed is not None:
        notes.add("login", warning(f"no request was sent: {account.closed}", "try again later"))
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


# --- results ----------------------------------------------------------------------------------------------------------


def standing(name: str, pause: Pause | None) -> Verdict:
    """What an account's pause means."""
    if pause is None:
        return ok("is open")
    by = "a person" if pause.by is PausedBy.PERSON else f"its daemon ({pause.by.value})"
    told = f"is paused by {by}, so its jobs wait: {pause.reason}"
    if pause.by is PausedBy.TLS:
        return warning(told, "repair what the check tls below reports; the daemon tries again every five minutes")
    mend = f"tidewaiter accounts resume {name}"
    if pause.by is PausedBy.CREDENTIALS:
        return failure(told, f"correct the credentials in accounts.{name}.settings, then: {mend}")
    return warning(told, f"once the reason is gone: {mend}")


def answered(told: Probed, name: str, pause: Pause | None = None) -> Verdict:
    """Whether the account works, by the provider's reply to the probe."""
    resume = "" if pause is None else f", then: tidewaiter accounts resume {name}"
    match told:
        case Healthy():
            return ok("the provider knows the account")
        case Unauthorized(reason):
            mend = f"correct the credentials in accounts.{name}.settings, or have the provider permit them{resume}"
            return failure(f"the provider refuses the credentials: {reason}", mend)
        case Throttled(reason):
            return warning(f"the provider cannot be asked now: {reason}", "try again later")
        case Retry(reason):
            return failure(f"the provider is in trouble: {reason}", "wait, or contact the provider")
        case Refused(reason):
            mend = f"see that accounts.{name}.settings name the right server and account"
            return failure(f"the provider refuses the probe: {reason}", mend)


def unanswered(error: TransportError) -> Verdict:
    """What to look at after a request without a reply; the text holds no secret."""
    mend = "look at the certificate" if isinstance(error, TlsError) else "look at the network, and at any proxy in it"
    return failure(str(error).rstrip("."), mend)


def skew(seconds: float) -> Verdict:
    """Whether a difference of the provider's clock from ours would break signatures and expiries."""
    if abs(seconds) <= _MOST_SKEW_S:
        return ok("the provider's clock and this machine's agree")
    told = f"the provider's clock is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    return warning(told, "let this machine set its clock by NTP; if it does, the provider's is wrong")
