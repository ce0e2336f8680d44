"""Sessions and their tokens, and the removal of the account's credentials from addresses in replies.

A provider that receives a credential in the query often repeats it in its addresses. It is removed before an address is
stored: credentials are added to every request to the provider's own origin anyway, and without them an address stays
the same when a token is renewed.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias
from urllib.parse import unquote, unquote_plus

from tidewaiter.domain.http_values import Credentials, Json, Link, WireReply, WireRequest
from tidewaiter.domain.outcome import Retry, Throttled, Unauthorized
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.extract import Pick, as_text, compile_pick
from tidewaiter.providers.messages import Messages
from tidewaiter.providers.reply import Reading, basic_credential, origin_of
from tidewaiter.providers.reply_defaults import is_success
from tidewaiter.providers.reply_headers import parse_http_date, retry_after
from tidewaiter.providers.reply_rules import Condition, Rules
from tidewaiter.providers.spec.auth_spec import LoginSpec, PlaceSpec
from tidewaiter.providers.spec.field_types import PickSpec

NotSignedIn: TypeAlias = Unauthorized | Throttled | Retry
ReadExpiry: TypeAlias = "Callable[[Reading, str, float], float | None]"
"""Reads when a token expires, by our clock, from the reply, the token and the time."""

_LONGEST_TOKEN: Final = 16_384
_LATER_IN_MS: Final = 1e11
"""Larger epoch numbers are milliseconds: as seconds they would be in the year 5138."""
_SHARE_OF_LIFE: Final = 0.2
_NOT_NOW: Final = frozenset({408, 425})
_TOKEN: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A token from a login: valid until ``expires_at``, renewed from ``renew_at`` on; both in epoch seconds."""

    value: str = field(repr=False)
    expires_at: float
    renew_at: float


@dataclass(frozen=True, slots=True)
class LoginReplyRules:
    """How the reply to a login is read; ``key`` is the place of the login in the spec.

    ``lifetime_s`` is for a token without an expiry; a token is renewed ``renew_ahead_s`` before its expiry.
    """

    key: str
    rules: Rules
    token: Pick
    expiry: ReadExpiry
    lifetime_s: float
    renew_ahead_s: float


@dataclass(frozen=True, slots=True)
class LoginSession:
    """How an account signs in.

    ``login`` builds the request; it takes the time in epoch seconds and a nonce. The request contains all credentials
    that it needs, and must be sent to its own URL only.
    """

    login: Callable[[float, str], WireRequest]
    _reply: LoginReplyRules
    _renew: Sequence[tuple[str, Condition]]
    _place: Callable[[str], Credentials]
    _messages: Messages
    _origin: str

    def read_login(self, reply: WireReply, now: float) -> Token | NotSignedIn:
        """The token, or why there is none.

        A refused login concerns the account; a page of HTML, an empty body or a server error does not.
        """
        reading = Reading(reply)
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
        return self._no_token(reading, reason) if token is None else self._dated(token, reading, now)

    def keys_hit(self, reply: WireReply | None) -> Iterator[str]:
        """The keys of the spec that an exchange uses: the login, and the rule that its reply matches."""
        yield self._reply.key
        verdict = None if reply is None else self._reply.rules.judge(Reading(reply))
        if verdict is not None:
            yield verdict.key

    def credentials(self, token: Token) -> Credentials:
        """The credentials for every request to the provider's origin."""
        return self._place(token.value)

    def rejects_token(self, reply: WireReply) -> bool:
        """Whether a reply from the provider's own origin says that the token of the request is not valid."""
        return self.renew_rule_of(reply) is not None

    def renew_rule_of(self, reply: WireReply) -> str | None:
        """The key of the ``renew`` condition that such a reply meets; ``None`` if it meets none."""
        if reply.foreign or origin_of(reply.url) != self._origin:
            return None
        reading = Reading(reply)
        return next((key for key, holds in self._renew if holds(reading)), None)

    def refused(self, reply: WireReply) -> Unauthorized:
        """The outcome if a new token is not valid either."""
        return Unauthorized(f"a new token was refused as well: {self._messages.reason(Reading(reply))}")

    def _token_in(self, reading: Reading) -> str | None:
        text = (as_text(self._reply.token(reading)) or "").strip()
        return text if len(text) <= _LONGEST_TOKEN and _TOKEN.fullmatch(text) else None

    @staticmethod
    def _no_token(reading: Reading, reason: str) -> Unauthorized | Retry:
        """A reply in JSON without a token is a refusal; a reply that is not JSON may come from a proxy."""
        reading.document()
        reason = f"{reason}, without a token"
        return Retry(reason) if reading.malformed else Unauthorized(reason)

    def _dated(self, token: str, reading: Reading, now: float) -> Token:
        end = self._reply.expiry(reading, token, now)
        expires_at = now + self._reply.lifetime_s if end is None else end
        # A token with a short life must not be renewed before every request.
        ahead_s = min(self._reply.renew_ahead_s, _SHARE_OF_LIFE * (expires_at - now))
        return Token(token, expires_at, expires_at - ahead_s)


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


_SUSPECT: Final = re.compile(r"[?#@]")
_USER_INFO: Final = re.compile(r"(https?://)([^/?#]*)@", re.IGNORECASE)
_SHORTEST_ALONE: Final = 8
"""A value of this length is recognized as a credential under any name in the query."""


@dataclass(frozen=True, slots=True)
class OwnCredentials:
    """The credentials of an account, as they can occur in an address.

    ``names`` are names in the query. ``values`` are the fixed credentials; ``redactor`` knows the session tokens.
    ``authorizes``: a header ``Authorization`` is sent.
    """

    origin: str = ""
    names: frozenset[str] = frozenset()
    values: frozenset[str] = field(default=frozenset(), repr=False)
    authorizes: bool = False
    redactor: Redactor = field(default_factory=Redactor, repr=False, compare=False)

    @classmethod
    def of(
        cls, origin: str, credentials: Credentials, session: LoginSession | None, redactor: Redactor
    ) -> "OwnCredentials":
        """The fixed credentials of an account, and the place of its session token."""
        placed = Credentials() if session is None else session.credentials(Token("", 0.0, 0.0))
        every = (credentials, placed)
        headers = {name.lower(): value for one in every for name, value in one.headers.items()}
        pairs = [pair for one in every for pair in (*one.query, *one.body)]
        # A header contains only the credential, or a scheme before it (RFC 9110, section 11.4).
        values = {value for _, value in pairs} | {part for one in headers.values() for part in (one, _last_word(one))}
        names = frozenset(name for name, _ in pairs)
        return cls(origin, names, frozenset(values - {""}), "authorization" in headers, redactor)

    def without(self, address: str) -> str:
        """An address or another handle, without the credentials.

        At the provider's own origin every pair of the query with the name of a credential is removed: a request to the
        address gets ours. In other addresses the value must be that of a credential, too.
        """
        return self._stripped(address, named=True)

    def link(self, link: Link) -> Link:
        """A link without the credentials. If it leads to the provider's own origin, they are sent with its request.

        If the spec says that links are requested without credentials, a pair with the name of a credential and another
        value means something else, and stays.
        """
        url = self._stripped(link.url, named=link.send_auth)
        if url == link.url:
            return link
        return replace(link, url=url, send_auth=link.send_auth or origin_of(url) == self.origin)

    def _stripped(self, address: str, *, named: bool) -> str:
        if not _SUSPECT.search(address):
            return address
        origin = origin_of(address)
        before, hash_mark, fragment = self._without_user(address, origin, named=named).partition("#")
        place, query_mark, query = before.partition("?")
        query, fragment = (self._kept(part, origin, named=named) for part in (query, fragment))
        return f"{place}{query_mark if query or before.endswith('?') else ''}{query}" + (
            f"{hash_mark}{fragment}" if fragment or address.endswith("#") else ""
        )

    def _kept(self, pairs: str, origin: str, *, named: bool) -> str:
        return "&".join(pair for pair in pairs.split("&") if not self._is_own(pair, origin, named=named))

    def _is_own(self, pair: str, origin: str, *, named: bool) -> bool:
        name, _, value = pair.partition("=")
        has_name = not self.names.isdisjoint(_read(name))
        if has_name and (self._is_credential(value, 1) or (named and origin == self.origin)):
            return True
        return origin in ("", self.origin) and self._is_credential(value, _SHORTEST_ALONE)

    def _without_user(self, address: str, origin: str, *, named: bool) -> str:
        """An address without the user name and password before its host, if they are the account's."""
        found = _USER_INFO.match(address)
        if found is None:
            return address
        user, _, password = found[2].partition(":")
        credential = basic_credential(unquote(user), unquote(password))
        is_own = credential in self.values or self._is_credential(password, _SHORTEST_ALONE)
        if is_own or (named and self.authorizes and origin == self.origin):
            return found[1] + address[found.end() :]
        return address

    def _is_credential(self, value: str, shortest: int) -> bool:
        return any(
            len(one) >= shortest and (one in self.values or self.redactor.is_temporary(one)) for one in _read(value)
        )


def _read(text: str) -> Iterator[str]:
    """The readings of a part of a query: a plus is a space or a plus, and a text may be encoded twice."""
    yield (plain := unquote(text))
    yield unquote_plus(text)
    yield unquote(plain)


def _last_word(text: str) -> str:
    return text.rpartition(" ")[2]
