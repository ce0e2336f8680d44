"""Social Gateway's API, version 2: obtain a token that is good for a while, then read what the domain has to tell.

Source: https://developer.socialgateway.net/v2. What it leaves open is an option here, so that whoever asks can be tried
on each variant.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import ClassVar, Final, TypeAlias
from urllib.parse import parse_qsl

from app.clock import Clock
from app.emulators.faults import FaultKind, FaultRule
from app.emulators.server import Asked, Call, EmulatedServer, Route
from app.emulators.wire import Reply, json_reply, page_reply

Resource: TypeAlias = Mapping[str, object] | Sequence[object] | Callable[[Mapping[str, str]], object]

BUENOS_AIRES: Final = timezone(timedelta(hours=-3))  # the zone of the vendor's own examples
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


@dataclass(slots=True)
class Session:
    """One token that was given out; times in epoch seconds. ``used`` counts the requests that it was good for."""

    token: str
    issued_at: float
    expires_at: float
    revoked: bool = False
    used: int = 0


class SocialGatewayEmulator(EmulatedServer):
    """The API of one domain, for one user. A token is good for ``token_ttl_s`` seconds by the clock.

    ``zone`` is the domain's time zone, in which all dates are told. A failed login is answered with
    ``login_failure_status``; 200 says so in its body. With ``bare_401`` the reason phrase of a 401 is lost on the way.

    ``campaigns`` is how many campaigns the statistics tell of. ``resources`` has what else can be read, by its path
    below ``/api/v2/``: the reply, or a function of the parameters. ``hidden`` names paths that this user may not see.

    Routes: ``authenticate``, ``me``, ``stats``, ``resource`` (any other path). ``revoked`` told on one of the last
    three revokes the token that came; ``error_status`` makes a 200 that says ``success: false``, with ``text``, or a
    login that fails, however good. ``gone`` can be told on ``stats`` and ``resource``.
    """

    software: ClassVar[str] = "nginx/1.2.3"

    def __init__(
        self,
        *,
        clock: Clock,
        user_name: str,
        api_key: str,
        password: str,
        token_ttl_s: float = 3600.0,
        zone: tzinfo = BUENOS_AIRES,
        login_failure_status: int = 200,
        bare_401: bool = False,
        campaigns: int = 3,
        resources: Mapping[str, Resource] | None = None,
        hidden: Iterable[str] = (),
        faults: Sequence[FaultRule] = (),
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port)
        self.sessions: list[Session] = []
        self.failed_logins = 0
        self.user_name = user_name
        self.api_key = api_key
        self.password = password
        self.hidden = set(hidden)
        self._token_ttl_s = token_ttl_s
        self._zone = zone
        self._login_failure_status = login_failure_status
        self._bare_401 = bare_401
        self._campaigns = campaigns
        self._resources = {_STATS: self._stats, **(resources or {})}
        self._by_token: dict[str, Session] = {}

    @property
    def base_url(self) -> str:
        """Where the API begins, without a slash at the end."""
        return f"{self.origin}{_BASE}"

    @property
    def logins(self) -> int:
        """How many tokens were given out."""
        return len(self.sessions)

    def revoke(self) -> None:
        """Revoke every token that was given out so far."""
        for session in self.sessions:
            session.revoked = True

    def routes(self) -> Iterable[Route]:
        """The login, and everything that can be read, with GET or HEAD."""
        reading = [
            Route(name, method, f"{_BASE}/{path}", answer)
            for method in ("GET", "HEAD")
            for name, path, answer in (
                ("me", "me", self._me),
                ("stats", _STATS, self._guarded(self._read)),
                ("resource", "{path:.+}", self._guarded(self._read)),
            )
        ]
        return [Route("authenticate", "POST", f"{_BASE}/authenticate", self._authenticate), *reading]

    def refusal(self, status: int, message: str) -> Reply:
        """An error as this API words it: a 401 speaks in its reason phrase, all others are pages."""
        return self._unauthorized(_BAD_TOKEN) if status == 401 else page_reply(status, message)

    def _authenticate(self, call: Call) -> Reply:
        wanted = {"userName": self.user_name, "apiKey": self.api_key, "password": self.password}
        if not wanted.items() <= _form(call.asked).items() or call.fault.kind is FaultKind.ERROR_STATUS:
            self.failed_logins += 1
            return replace(_failed("Invalid user name, api key or password"), status=self._login_failure_status)
        now = self.clock.now()
        token = hashlib.sha1(f"{self.user_name}:{self.logins}".encode(), usedforsecurity=False).hexdigest()
        session = self._by_token[token] = Session(token, now, now + self._token_ttl_s)
        self.sessions.append(session)
        reply = _told({"success": True, "access_token": token, "expires": self._date_text(session.expires_at)})
        return replace(reply, headers=_LONG_AGO)

    def _me(self, call: Call) -> Reply:
        if "access_token" not in call.asked.query:
            return _told({"success": True, "statusMessage": "you are not logged in", "logged_in": False})
        return self._guarded(self._logged_in)(call)

    def _logged_in(self, _call: Call) -> Reply:
        said = f"you are logged in as '{self.user_name}'"
        return _told({"success": True, "statusMessage": said, "logged_in": True})

    def _guarded(self, answer: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
        def guarded(call: Call) -> Reply:
            token = call.asked.query.get("access_token")
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
        return Reply(401, reason=None if self._bare_401 else phrase)

    def _read(self, call: Call) -> Reply:
        path = call.arguments.get("path", _STATS)
        if path not in self._resources or path in self.hidden or call.fault.kind is FaultKind.GONE:
            return page_reply(404, "Not Found")
        resource = self._resources[path]
        if not callable(resource):
            return _told(resource)
        return _told(resource({key: value for key, value in call.asked.query.items() if key != "access_token"}))

    def _stats(self, _parameters: Mapping[str, str]) -> object:
        at = self._date_text(self.clock.now())
        campaigns = [
            {"id": number, "name": f"campaign no. {number}", "sent": 1000 * number, "clicks": 37 * number, "date": at}
            for number in range(1, self._campaigns + 1)
        ]
        return {"date": at, "campaigns": campaigns}

    def _date_text(self, at: float) -> str:
        """A time as this API writes it: in the domain's time zone, its offset without a colon."""
        return datetime.fromtimestamp(int(at), self._zone).strftime("%Y-%m-%dT%H:%M:%S%z")


def _form(asked: Asked) -> Mapping[str, str]:
    """The fields of a form; none where the body is something else."""
    if asked.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        return {}
    return dict(parse_qsl(asked.body.decode(errors="replace"), keep_blank_values=True))


def _told(payload: object) -> Reply:
    return replace(json_reply(payload), content_type=_TYPE)


def _failed(message: str) -> Reply:
    return _told({"success": False, "statusMessage": message})
