"""The login of an account: the session that it opens, its token, when the token expires, and which replies say so."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias

from tidewaiter.domain.http_values import Credentials, Json, WireReply, WireRequest
from tidewaiter.domain.outcome import Retry, Throttled, Unauthorized
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.providers.credentials.login_values import LoginValues
from tidewaiter.providers.credentials.signed_tokens import TokenSigner
from tidewaiter.providers.replies.extract import Pick, compile_pick
from tidewaiter.providers.replies.messages import Messages
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_defaults import is_success
from tidewaiter.providers.replies.reply_headers import parse_http_date, retry_after
from tidewaiter.providers.replies.reply_rules import Condition, Rules
from tidewaiter.providers.replies.xml_replies import XmlForm
from tidewaiter.providers.spec.auth_spec import LoginSpec, PlaceSpec
from tidewaiter.providers.spec.field_types import PickSpec
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.providers.values.texts import as_text

NotSignedIn: TypeAlias = Unauthorized | Throttled | Retry
ReadExpiry: TypeAlias = "Callable[[Reading, str, float], float | None]"
"""Reads when a token expires, by our clock, from the reply, the token and the time."""

_LONGEST_TOKEN: Final = 16_384
_LATER_IN_MS: Final = 1e11
"""Larger epoch numbers are milliseconds: as seconds they would be in the year 5138."""
_SHARE_OF_LIFE: Final = 0.2
_NOT_NOW: Final = frozenset({408, 425})
_TOKEN: Final = re.compile(r"[!-~]+")
_REFRESH_TOKEN: Final = compile_pick((PickSpec.model_validate("refresh_token"),))


@dataclass(frozen=True, slots=True)
class Token:
    """A token from a login: valid until ``expires_at``, renewed from ``renew_at`` on; both in epoch seconds.

    ``kept`` are more values of the login's reply.
    """

    value: str = field(repr=False)
    expires_at: float
    renew_at: float
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class LoginReplyRules:
    """How the reply to a login is read; ``key`` is the place of the login in the spec.

    ``lifetime_s`` is for a token without an expiry; a token is renewed ``renew_ahead_s`` before its expiry. ``keep``
    reads the values that later requests need.
    """

    key: str
    rules: Rules
    token: Pick
    expiry: ReadExpiry
    lifetime_s: float
    renew_ahead_s: float
    xml: XmlForm | None = None
    keep: Mapping[str, Pick] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenSession:
    """How the token of an account is used, and which replies say that it is not valid any more.

    ``beside`` are fixed credentials that go along with the token. ``xml``: how the provider's replies are read if they
    are XML.
    """

    beside: Credentials = field(default_factory=Credentials, repr=False, kw_only=True)
    xml: XmlForm | None = field(default=None, kw_only=True)
    _renew: Sequence[tuple[str, Condition]]
    _place: Callable[[str], Credentials]
    _messages: Messages
    _origins: OwnOrigins

    def completed(self, request: WireRequest, token: Token) -> WireRequest:  # noqa: ARG002  # for sessions with a login
        """A request as it is sent with a token."""
        return request

    def is_needed_by(self, request: WireRequest) -> bool:  # noqa: ARG002  # as above
        """Whether a request needs a token for more than its credentials."""
        return False

    def credentials(self, token: Token) -> Credentials:
        """The credentials for every request to the provider's origins."""
        return self.beside.joined(self._place(token.value))

    def rejects_token(self, reply: WireReply) -> bool:
        """Whether a reply from one of the provider's own origins says that the token of the request is not valid."""
        return self.renew_rule_of(reply) is not None

    def renew_rule_of(self, reply: WireReply) -> str | None:
        """The key of the ``renew`` condition that such a reply meets; ``None`` if it meets none."""
        if reply.foreign or not self._origins.has(origin_of(reply.url)):
            return None
        reading = Reading(reply, xml=self.xml)
        return next((key for key, holds in self._renew if holds(reading)), None)

    def refused(self, reply: WireReply) -> Unauthorized:
        """The outcome if a new token is not valid either."""
        return Unauthorized(f"a new token was refused as well: {self._messages.reason(Reading(reply, xml=self.xml))}")


@dataclass(frozen=True, slots=True)
class SignedSession(TokenSession):
    """Tokens that the account signs itself, without a request; ``key`` is the place of the claims in the spec.

    A token is signed anew ``renew_ahead_s`` before its expiry.
    """

    key: str
    signer: TokenSigner
    renew_ahead_s: float

    def token(self, now: float, nonce: str) -> Token:
        """A new token; it takes the time in epoch seconds and a nonce."""
        return dated(self.signer.sign(now, nonce), now, now + self.signer.lasts_s, self.renew_ahead_s)


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """How an account gets access tokens for a refresh token. Source: RFC 6749, section 6.

    ``setting`` is the setting with the configured refresh token. ``rotates``: a reply may have another one, which
    replaces it. ``reuse``: the provider accepts a replaced one for some time.
    """

    setting: str
    configured: str = field(repr=False)
    rotates: bool
    reuse: bool
    _login_with: Callable[[str], Callable[[float, str], WireRequest]] = field(repr=False)

    def login(self, now: float, nonce: str, token: str) -> WireRequest:
        """The request for an access token for this refresh token; ``now`` is epoch seconds."""
        return self._login_with(token)(now, nonce)

    @staticmethod
    def next_token(reply: WireReply) -> str | None:
        """The refresh token in a successful reply; ``None`` if it has none that can be sent again."""
        reading = Reading(reply)
        return _token_of(_REFRESH_TOKEN(reading)) if is_success(reading.status) else None


@dataclass(frozen=True, slots=True)
class LoginSession(TokenSession):
    """How an account signs in.

    ``login`` builds the request; it takes the time in epoch seconds and a nonce. The request contains all credentials
    that it needs, and must be sent to its own URL only.
    """

    login: Callable[[float, str], WireRequest]
    values: LoginValues
    _reply: LoginReplyRules
    refresh: RefreshGrant | None = None

    def read_login(self, reply: WireReply, now: float) -> Token | NotSignedIn:
        """The token, or why there is none.

        A refused login concerns the account; a page of HTML, an empty body or a server error does not.
        """
        reading = self._reading(reply)
        verdict = self._reply.rules.judge(reading)
        effect = None if verdict is None else verdict.effect
        reason = f"the login failed: {self._messages.of_login(reading)}"
        wait_s = retry_after(reading.headers, now)
        if effect == "retry" or (effect is None and reading.status in _NOT_NOW):
            return Retry(reason, wait_s)
        if effect == "throttled" or (effect is None and reading.status in (429, 503)):
            return Throttled(reason, wait_s)
        if effect == "refused" or 400 <= reading.status < 500:
            return Unauthorized(reason)
        if not is_success(reading.status):
            return Retry(reason, wait_s)
        token = self._token_in(reading)
        return self._no_token(reading, reason) if token is None else self._with_values(token, reading, now)

    def completed(self, request: WireRequest, token: Token) -> WireRequest:
        """A request with the values of the login."""
        return self.values.completed(request, token.kept)

    def is_needed_by(self, request: WireRequest) -> bool:
        """Whether a request has places for values of the login."""
        return bool(self.values.names) and self.values.needed_by(request)

    def keys_hit(self, reply: WireReply | None) -> Iterator[str]:
        """The keys of the spec that an exchange uses: the login, and the rule that its reply matches."""
        yield self._reply.key
        verdict = None if reply is None else self._reply.rules.judge(self._reading(reply))
        if verdict is not None:
            yield verdict.key

    def _reading(self, reply: WireReply) -> Reading:
        return Reading(reply, xml=self._reply.xml)

    def _token_in(self, reading: Reading) -> str | None:
        return _token_of(self._reply.token(reading))

    @staticmethod
    def _no_token(reading: Reading, reason: str) -> Unauthorized | Retry:
        """A reply in JSON without a token is a refusal; a reply that is not JSON may come from a proxy."""
        reading.document()
        reason = f"{reason}, without a token"
        return Retry(reason) if reading.malformed else Unauthorized(reason)

    def _with_values(self, token: str, reading: Reading, now: float) -> Token | Unauthorized:
        kept = {name: as_text(pick(reading)) or "" for name, pick in self._reply.keep.items()}
        missing = [name for name, value in kept.items() if not value]
        fault = f"has no {', '.join(missing)}" if missing else self.values.fault_of(kept)
        if fault is not None:
            return Unauthorized(self._messages.note(f"the login failed: its reply {fault}", 200) or "the login failed")
        return replace(self._dated(token, reading, now), kept=kept)

    def _dated(self, token: str, reading: Reading, now: float) -> Token:
        end = self._reply.expiry(reading, token, now)
        expires_at = now + self._reply.lifetime_s if end is None else end
        return dated(token, now, expires_at, self._reply.renew_ahead_s)


def dated(token: str, now: float, expires_at: float, renew_ahead_s: float) -> Token:
    """A token that is renewed so long before its expiry."""
    # A token with a short life must not be renewed before every request.
    return Token(token, expires_at, expires_at - min(renew_ahead_s, _SHARE_OF_LIFE * (expires_at - now)))


def _token_of(value: Json) -> str | None:
    text = "" if isinstance(value, bool) else (as_text(value) or "").strip()
    return text if len(text) <= _LONGEST_TOKEN and _TOKEN.fullmatch(text) else None


# --- the expiry of a token --------------------------------------------------------------------------------------------


def compile_expiry(spec: LoginSpec) -> ReadExpiry:
    """Reads when a token expires, if the reply to the login or the token names an expiry in the future."""
    at, in_s = _pick(spec.expires_at), _pick(spec.expires_in)

    def expiry(reading: Reading, token: str, now: float) -> float | None:
        moment, seconds = as_moment(at(reading), now), _seconds(in_s(reading))
        ends = (
            None if moment is None else now + moment - _replied_at(reading, now),
            None if seconds is None else now + seconds,
            _end_of_jwt(token, reading, now) if spec.jwt else None,
        )
        # An end in the past is usually a wrong time zone; if it counted, every request would need a login.
        return next((end for end in ends if end is not None and end > now), None)

    return expiry


def _pick(specs: tuple[PickSpec, ...]) -> Pick:
    return compile_pick(specs) if specs else lambda _reading: None


def as_moment(value: Json, now: float) -> float | None:
    """A time as epoch seconds; ``None`` if the value is no time.

    Args:
        value: epoch seconds or milliseconds, ISO 8601 (the offset with or without a colon; without one it is UTC), or
            an HTTP-date.
        now: epoch seconds, for dates with two digits of the year.
    """
    text = (as_text(value) or "").strip()
    number = _seconds(text)
    if number is not None:
        return number / 1000.0 if number > _LATER_IN_MS else number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return parse_http_date(text, now)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(value: Json) -> float | None:
    text = (as_text(value) or "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text) else None


def _replied_at(reading: Reading, now: float) -> float:
    """When the server replied, by its own clock, which may differ from ours."""
    date = reading.headers.get("date")
    replied_at = parse_http_date(date.strip(), now) if date else None
    return now if replied_at is None else replied_at


def _end_of_jwt(token: str, reading: Reading, now: float) -> float | None:
    """When a JSON Web Token expires, by our clock. The signature is not verified.

    Source: RFC 7519, sections 4.1.4 and 4.1.6.
    """
    part = token.split(".")[1] if token.count(".") == 2 else ""  # header, payload, signature
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(claims, dict):
        return None
    ends_at, made_at = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if ends_at is None:
        return None
    return now + ends_at - (_replied_at(reading, now) if made_at is None else made_at)


# --- the place of a token ---------------------------------------------------------------------------------------------


def compile_place(spec: PlaceSpec) -> Callable[[str], Credentials]:
    """The function that makes credentials from a token, for the place that the spec names."""
    if spec.query is not None:
        query = spec.query
        return lambda token: Credentials(query=((query, token),))
    header, prefix = spec.header or "", spec.prefix
    return lambda token: Credentials({header: f"{prefix}{token}"})


# --- credentials in addresses -----------------------------------------------------------------------------------------
