"""Social Gateway's API, version 2: get a token that is valid for some time, then read the domain's data.

Source: https://developer.socialgateway.net/v2. What it leaves open is a variant here, so that a client can be tested
with each.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

from pydantic import ConfigDict, Field

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import STRICT, FaultKind, FaultRule
from tidewaiter.emulators.emulated_replies import Reply, json_reply, page_reply
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer, RecordedRequest

Resource: TypeAlias = Mapping[str, object] | Sequence[object] | Callable[[Mapping[str, str]], object]
Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_BASE: Final = "/api/v2"
_STATS: Final = "campaign/stats"
_TYPE: Final = "application/json;charset=UTF-8"
_FORM: Final = "application/x-www-form-urlencoded"
_LONG_AGO: Final = {"Expires": "Thu, 01-Jan-1970 00:00:00 GMT"}  # of the page, never of the token
_NO_TOKEN: Final = (
    "Please include the access_token parameter in your requests. "  # noqa: S105 - a sentence
    "You can obtain one using the /api/v2/authenticate endpoint"
)
_BAD_TOKEN: Final = "Please renew your access_token"  # noqa: S105 - a sentence


class StatsShape(StrEnum):
    """The shape of ``campaign/stats``: the document permits an object or an array."""

    OBJECT = "object"
    ARRAY = "array"


@dataclass(frozen=True, slots=True)
class SocialGatewayVariants:
    """What the document leaves open.

    A token says that it is valid for ``token_ttl_s`` seconds; ``dies_after_s`` ends it before that. Dates are in the
    domain's time zone, ``utc_offset_minutes`` ahead of UTC (the document's examples: three hours behind). A failed
    login gets ``login_failure_status``; with 200 the body says so. With ``bare_401`` a 401 has no reason phrase, as
    after proxies and HTTP/2.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    token_ttl_s: Seconds = 3600.0
    dies_after_s: Seconds | None = None
    utc_offset_minutes: Annotated[int, Field(gt=-1440, lt=1440)] = -180
    login_failure_status: Literal[200, 400, 401, 403, 404] = 200
    bare_401: bool = False
    stats_shape: StatsShape = StatsShape.OBJECT


_AS_DOCUMENTED: Final = SocialGatewayVariants()


@dataclass(slots=True)
class TokenGrant:
    """One token; times in epoch seconds. ``used`` counts the requests that it permitted."""

    token: str
    issued_at: float
    expires_at: float
    revoked: bool = False
    used: int = 0


@dataclass(frozen=True, slots=True)
class SocialGatewayLogin:
    """What the user of the domain logs in with."""

    user_name: str
    api_key: str
    password: str


class SocialGatewayEmulator(EmulatedServer):
    """The API of one domain, for one user.

    ``campaigns`` is the number of campaigns in the statistics. ``resources`` has all other resources by their path
    below ``/api/v2/``: the reply, or a function of the parameters, which may return a :class:`Reply`. ``hidden`` names
    paths that this user may not see: the reply says that they do not exist.

    Routes: ``authenticate``, ``me``, ``stats``, ``resource`` (any other path), ``action`` (POST, PUT or DELETE to any
    path; its effect is an entry in ``actions``). ``revoked`` on one of the last four revokes the token of the request;
    ``error_status`` is a 200 with ``success: false`` and ``text``, or a failed login. ``gone`` is possible on ``stats``
    and ``resource``.
    """

    software: ClassVar[str] = "nginx/1.2.3"
    variants: SocialGatewayVariants

    def __init__(
        self,
        *,
        clock: Clock,
        login: SocialGatewayLogin,
        variants: SocialGatewayVariants = _AS_DOCUMENTED,
        campaigns: int = 3,
        resources: Mapping[str, Resource] | None = None,
        hidden: Iterable[str] = (),
        faults: Sequence[FaultRule] = (),
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port)
        self.variants = variants
        self.sessions: list[TokenGrant] = []
        self.failed_logins = 0
        self.actions: list[str] = []
        self.login = login
        self.hidden = set(hidden)
        self._campaigns = campaigns
        self._resources: dict[str, Resource] = {_STATS: self._stats, **(resources or {})}
        self._by_token: dict[str, TokenGrant] = {}

    @property
    def base_url(self) -> str:
        """The address of the API, without a slash at the end."""
        return f"{self.origin}{_BASE}"

    @property
    def logins(self) -> int:
        """How many tokens were issued."""
        return len(self.sessions)

    def revoke(self) -> None:
        """Revoke every token issued so far."""
        for session in self.sessions:
            session.revoked = True

    def routes(self) -> Iterable[EmulatedRoute]:
        """The login, all resources with GET or HEAD, and all actions."""
        reading = [
            EmulatedRoute(name, method, f"{_BASE}/{path}", answer)
            for method in ("GET", "HEAD")
            for name, path, answer in (
                ("me", "me", self._me),
                ("stats", _STATS, self._guarded(self._read)),
                ("resource", "{path:.+}", self._guarded(self._read)),
            )
        ]
        return [
            EmulatedRoute("authenticate", "POST", f"{_BASE}/authenticate", self._authenticate),
            *(
                EmulatedRoute("action", method, f"{_BASE}/{{path:.+}}", self._guarded(self._act))
                for method in ("POST", "PUT", "DELETE")
            ),
            *reading,
        ]

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the form of this API: a 401 has a reason phrase, all others are pages."""
        return self._unauthorized(_BAD_TOKEN) if status == 401 else page_reply(status, message)

    def _authenticate(self, call: EmulatedCall) -> Reply:
        expected = {"userName": self.login.user_name, "apiKey": self.login.api_key, "password": self.login.password}
        if not expected.items() <= _form(call.request).items() or call.fault.kind is FaultKind.ERROR_STATUS:
            self.failed_logins += 1
            reply = _failed(call.fault.text or "Invalid user name, api key or password")
            return replace(reply, status=self.variants.login_failure_status)
        now = self.clock.now()
        token = hashlib.sha1(f"{self.login.user_name}:{self.logins}".encode(), usedforsecurity=False).hexdigest()
        session = self._by_token[token] = TokenGrant(token, now, now + self.variants.token_ttl_s)
        self.sessions.append(session)
        reply = _reply({"success": True, "access_token": token, "expires": self._date_text(session.expires_at)})
        if self.variants.dies_after_s is not None:
            session.expires_at = min(session.expires_at, now + self.variants.dies_after_s)
        return replace(reply, headers=_LONG_AGO)

    def _me(self, call: EmulatedCall) -> Reply:
        if "access_token" not in call.request.query:
            return _reply({"success": True, "statusMessage": "you are not logged in", "logged_in": False})
        return self._guarded(self._logged_in)(call)

    def _logged_in(self, _call: EmulatedCall) -> Reply:
        message = f"you are logged in as '{self.login.user_name}'"
        return _reply({"success": True, "statusMessage": message, "logged_in": True})

    def _guarded(self, answer: Callable[[EmulatedCall], Reply]) -> Callable[[EmulatedCall], Reply]:
        def guarded(call: EmulatedCall) -> Reply:
            token = _parameters(call.request).get("access_token")
            if token is None:
                return self._unauthorized(_NO_TOKEN)
            session = self._by_token.get(token)
            if session is not None and call.fault.kind is FaultKind.REVOKED:
                session.revoked = True
            if session is None or session.revoked or session.expires_at <= self.clock.now():
                return self._unauthorized(_BAD_TOKEN)
            session.used += 1
            if call.fault.kind is FaultKind.ERROR_STATUS:
                return _failed(call.fault.text or "Internal error")
            return answer(call)

        return guarded

    def _unauthorized(self, phrase: str) -> Reply:
        return Reply(401, reason=None if self.variants.bare_401 else phrase)

    def _read(self, call: EmulatedCall) -> Reply:
        path = call.arguments.get("path", _STATS)
        if path not in self._resources or path in self.hidden or call.fault.kind is FaultKind.GONE:
            return page_reply(404, "Not Found")
        resource = self._resources[path]
        if not callable(resource):
            return _reply(resource)
        content = resource({key: value for key, value in call.request.query.items() if key != "access_token"})
        return content if isinstance(content, Reply) else _reply(content)

    def _act(self, call: EmulatedCall) -> Reply:
        self.actions.append(call.arguments["path"])
        return _reply({"success": True, "statusMessage": "done"})

    def _stats(self, _parameters: Mapping[str, str]) -> object:
        at = self._date_text(self.clock.now())
        campaigns = [
            {"id": number, "name": f"campaign no. {number}", "sent": 1000 * number, "clicks": 37 * number, "date": at}
            for number in range(1, self._campaigns + 1)
        ]
        return campaigns if self.variants.stats_shape is StatsShape.ARRAY else {"date": at, "campaigns": campaigns}

    def _date_text(self, at: float) -> str:
        """A time as this API writes it: in the domain's time zone, its offset without a colon."""
        zone = timezone(timedelta(minutes=self.variants.utc_offset_minutes))
        return datetime.fromtimestamp(int(at), zone).strftime("%Y-%m-%dT%H:%M:%S%z")


def _form(request: RecordedRequest) -> dict[str, str]:
    """The fields of a form; empty if the body is something else."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        return {}
    return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))


def _parameters(request: RecordedRequest) -> dict[str, str]:
    return {**request.query, **_form(request)}


def _reply(payload: object) -> Reply:
    return replace(json_reply(payload), content_type=_TYPE)


def _failed(message: str) -> Reply:
    return _reply({"success": False, "statusMessage": message})
