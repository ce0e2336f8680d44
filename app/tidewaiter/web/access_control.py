"""Access control of the HTTP listener: bearer tokens, browser sessions, and the rule of every route.

If tokens are configured, every caller needs one. If not, the listener is on loopback only (the configuration is checked
for that) and every caller is an admin. Two attacks through a browser on the same machine are refused then as always:
requests that another site makes the browser send, and host names that were made to point at loopback.
"""

import base64
import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

from tidewaiter.clock import Clock
from tidewaiter.database.errors import StoreUnavailableError
from tidewaiter.database.session_store import SessionStore
from tidewaiter.log import EventLog
from tidewaiter.services.actors import one_line
from tidewaiter.web.caller_address import UNKNOWN, Network, address_of, rate_limit_key
from tidewaiter.web.callers import (
    CALLER,
    REASON,
    RECHECK,
    REMOTE,
    TARGET,
    AccessRecheck,
    Caller,
    CallerToken,
    Role,
    actor_of,
    digest_of,
)
from tidewaiter.web.problems import ProblemError, problem_of
from tidewaiter.web.rate_limits import WrongTokenCounter
from tidewaiter.web.request_reading import accepts_html
from tidewaiter.web.route_rules import SAFE, RouteRule, RouteRules, rule_for

SESSION_S: Final = 12 * 3600.0
"""How long a browser stays signed in, in seconds."""
SESSION_COOKIE: Final = "tidewaiter_session"
SIGN_IN: Final = "/login"
"""Where a browser sends its token. A browser without a session is redirected there."""
SIGN_OUT: Final = "/logout"
"""Where a browser ends its session; open to everybody."""
STATIC: Final = "/static/"
"""The prefix of styles and scripts: open to everybody, and the same for everybody."""
_LONGEST_EPOCH: Final = 12
_ID_BYTES: Final = 8
_LONGEST_REASON: Final = 500
_LONGEST_TARGET: Final = 100
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
_SAME_SITE: Final = frozenset({"same-origin", "none"})
_ANONYMOUS: Final = Caller("anybody", Role.NOBODY)
_LOCAL: Final = Caller("loopback", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """What the configuration says about callers.

    Without ``tokens`` everybody is an admin. ``hosts`` are the names under which the listener may be called then, in
    lower case. ``proxies`` are networks of proxies that are trusted to name the caller.
    """

    tokens: Sequence[CallerToken]
    hosts: Collection[str] = frozenset()
    proxies: Sequence[Network] = ()


class AccessControl:
    """Identifies callers by their tokens, and refuses what their role does not permit.

    Args:
        settings: tokens, names of the listener, and trusted proxies.
        open_paths: what everybody may read, such as the health of the process.
        clock: the time.
        log: logs the actions of admins, and refusals.
        sessions: the sessions that were ended early, by any process.
    """

    def __init__(
        self,
        settings: AccessSettings,
        *,
        open_paths: Collection[str],
        clock: Clock,
        log: EventLog,
        sessions: SessionStore,
    ) -> None:
        self._settings = settings
        self._open_paths = frozenset(open_paths)
        self._clock = clock
        self._log = log
        self._sessions = sessions
        self._wrong_tokens = WrongTokenCounter(clock)

    def reconfigure(self, settings: AccessSettings) -> None:
        """Use these settings from now on. A token that is gone opens nothing any more, nor does a session of it."""
        self._settings = settings

    @property
    def needs_token(self) -> bool:
        """Whether callers need a token."""
        return bool(self._settings.tokens)

    def middleware(self, rules: RouteRules) -> Middleware:
        """The middleware before every route. ``rules`` are the rules of the routes that have one."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            request[REMOTE] = address_of(request, self._settings.proxies)
            caller = await self._caller(request)
            request[CALLER], request[RECHECK] = caller, AccessRecheck(partial(self._is_permitted, request, caller))
            rule = self._rule(request, rules)
            self._check(request, caller, rule)
            if rule.role < Role.SUBMIT:  # such a route changes nothing; signing in has its own log line
                return await handler(request)
            return await self._audited(request, caller, handler)

        return guarded

    def sign_in(self, text: str, remote: str = UNKNOWN) -> str | None:
        """The value of :data:`SESSION_COOKIE` for a typed token; ``None`` if the token is unknown or has expired.

        The session is signed with the token, so it is valid in every process that knows the token, and ends when the
        token changes. Only a session that is ended early is stored in the database, by its id.
        ``remote`` is the address of the caller.

        Raises:
            ProblemError: 429 after too many wrong tokens from there.
        """
        if (wait_s := self._wrong_tokens.wait_s(rate_limit_key(remote))) > 0:
            raise self._slowed(remote, wait_s)
        token = self._find(text)
        if token is None:
            self._wrong_tokens.count_wrong(rate_limit_key(remote))
        fault = "the token that was typed is not known" if token is None else self._expired(token)
        if token is None or fault is not None:
            self._log.emit("access.refused", status=401, reason=fault, remote=remote)
            return None
        self._log.emit("browser.signed_in", caller=token.name, remote=remote)
        session = _BrowserSession(token.name, str(int(self._clock.now() + SESSION_S)), secrets.token_hex(_ID_BYTES))
        return session.signed(token)

    async def sign_out(self, cookie: str) -> None:
        """End the session of a cookie, in every process that uses this database; an invalid cookie is ignored.

        Raises:
            StoreUnavailableError: the database cannot be reached, so the session stays valid.
        """
        found = self._signed(cookie)
        if found is not None:
            session, token = found
            await self._sessions.end(session.id, float(session.until))
            self._log.emit("browser.signed_out", caller=token.name)

    async def _is_permitted(self, request: web.Request, caller: Caller) -> bool:
        """Whether a request would still be permitted: its token may be gone, or its session ended."""
        return await self._caller(request) == caller

    def _rule(self, request: web.Request, rules: RouteRules) -> RouteRule:
        is_open = request.path in self._open_paths or request.path.startswith(STATIC)
        if request.path in (SIGN_IN, SIGN_OUT) or (is_open and request.method in SAFE):
            return RouteRule(Role.NOBODY, limited=True)
        return rule_for(request, rules)

    def _check(self, request: web.Request, caller: Caller, rule: RouteRule) -> None:
        host = _host(request)
        if not self._settings.tokens and host is not None and host.lower() not in self._settings.hosts:
            raise self._refusal(
                request, 421, "this address may be called by its own name only; [http] public_url adds one"
            )
        if request.method not in SAFE and not _is_same_site(request):
            raise self._refusal(request, 403, "another site made your browser send this request; nothing was changed")
        if caller.role >= rule.role:
            if caller.scope.is_limited and not rule.limited:
                detail = f"the token {caller.name} is limited to some accounts; this address is not"
                raise self._refusal(request, 403, detail)
            return
        if caller.slowed_s > 0:
            raise self._slowed(request[REMOTE], caller.slowed_s)
        if caller.unavailable is not None:
            raise StoreUnavailableError(caller.unavailable)
        if caller.role is Role.NOBODY and request.method in SAFE and accepts_html(request):
            raise web.HTTPSeeOther(str(URL(SIGN_IN).with_query(next=request.path_qs)))
        if caller.role is Role.NOBODY:
            refusal = self._refusal(request, 401, caller.fault or "a token is required: Authorization: Bearer TOKEN")
            refusal.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="tidewaiter"'
            raise refusal
        raise self._refusal(
            request,
            403,
            f"the token {caller.name} has the role {caller.role.name.lower()}; "
            f"this requires the role {rule.role.name.lower()}",
        )

    def _refusal(self, request: web.Request, status: int, detail: str) -> ProblemError:
        self._log.emit("access.refused", status=status, reason=detail, remote=request[REMOTE])
        return ProblemError(status, detail)

    async def _audited(self, request: web.Request, caller: Caller, handler: Handler) -> web.StreamResponse:
        """Log who did what and how it ended, also after an error."""
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        except Exception as error:
            if (problem := problem_of(error)) is not None:
                status = problem.status
            raise
        else:
            return response
        finally:
            self._log.emit(
                "admin.acted",
                caller=caller.name,
                way=actor_of(request).channel.value,
                action=f"{request.method} {request.path}",
                target=_target(request),
                reason=one_line(request.get(REASON, ""), _LONGEST_REASON) or None,
                outcome="done" if status < _CLIENT_ERROR else "refused" if status < _SERVER_ERROR else "failed",
                status=status,
                remote=request[REMOTE],
            )

    async def _caller(self, request: web.Request) -> Caller:
        if not self._settings.tokens:
            return _LOCAL
        scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if text and scheme.lower() == "bearer":  # any other scheme is for a proxy
            return self._by_token(text.strip(), rate_limit_key(request[REMOTE]))
        return await self._in_session(request.cookies.get(SESSION_COOKIE, ""))

    def _by_token(self, text: str, place: str) -> Caller:
        if (wait_s := self._wrong_tokens.wait_s(place)) > 0:
            return replace(_ANONYMOUS, slowed_s=wait_s)
        token = self._find(text)
        if token is None:
            self._wrong_tokens.count_wrong(place)
            return _ANONYMOUS
        return self._caller_with(token)

    def _slowed(self, remote: str, wait_s: float) -> ProblemError:
        reason = "too many wrong tokens came from this address; for a while its tokens are not checked"
        self._log.emit("access.slowed", reason=reason, remote=remote)
        return ProblemError(429, reason, retry_after_s=wait_s)

    def _find(self, text: str) -> CallerToken | None:
        """The token with that text. All are compared in constant time."""
        digest = digest_of(text)
        found = [token for token in self._settings.tokens if hmac.compare_digest(token.digest, digest)]
        return found[0] if found else None

    async def _in_session(self, cookie: str) -> Caller:
        """The caller of a session. It is not accepted if the database cannot say whether it was ended."""
        found = self._signed(cookie)
        if found is None:
            return _ANONYMOUS
        session, token = found
        try:
            has_ended = await self._sessions.has_ended(session.id)
        except StoreUnavailableError as error:
            return replace(_ANONYMOUS, unavailable=str(error))
        return _ANONYMOUS if has_ended else self._caller_with(token, in_session=True)

    def _signed(self, cookie: str) -> tuple["_BrowserSession", CallerToken] | None:
        """The session of a cookie that has not expired, and the token that signed it."""
        session, _, _ = cookie.rpartition(".")
        name, until, identity = (*session.split("."), "", "")[:3]
        is_number = until.isascii() and until.isdigit() and len(until) <= _LONGEST_EPOCH
        if not is_number or int(until) < self._clock.now():
            return None
        made = _BrowserSession(name, until, identity)
        for token in self._settings.tokens:
            if token.name == name and hmac.compare_digest(made.signed(token), _ascii(cookie)):
                return made, token
        return None

    def _caller_with(self, token: CallerToken, *, in_session: bool = False) -> Caller:
        if (expired := self._expired(token)) is not None:
            return Caller(token.name, Role.NOBODY, fault=expired)
        return Caller(token.name, token.role, in_session=in_session, scope=token.scope)

    def _expired(self, token: CallerToken) -> str | None:
        """Why a token has expired, if it has. The time of day counts here, because people write the date."""
        if token.expires_at is None or self._clock.now() + self._clock.skew() < token.expires_at:
            return None
        at = datetime.fromtimestamp(token.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"the token {token.name} has expired at {at}"


@dataclass(frozen=True, slots=True)
class _BrowserSession:
    """The content of a cookie: the name of the token, the epoch second of its end, and a random id."""

    name: str
    until: str
    id: str

    def signed(self, token: CallerToken) -> str:
        """The value of the cookie, with its signature."""
        content = f"{self.name}.{self.until}.{self.id}"
        signature = hmac.digest(token.digest, f"session {content}".encode(), "sha256")
        return f"{content}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _target(request: web.Request) -> str | None:
    """What a request acts on, such as ``job 12``: the member of its path with a name or a number."""
    if (said := request.get(TARGET)) is not None:
        return one_line(said, _LONGEST_TARGET)
    for member in ("id", "name"):
        if (given := request.match_info.get(member)) is not None:
            parts = request.match_info.route.resource.canonical.split("/") if request.match_info.route.resource else []
            kind = parts[parts.index(f"{{{member}}}") - 1].removesuffix("s")
            return one_line(f"{kind} {given}", _LONGEST_TARGET)
    return None


def _ascii(text: str) -> str:
    """The text if it is ASCII, else nothing: ``compare_digest`` raises on other text."""
    return text if text.isascii() else ""


def _host(request: web.Request) -> str | None:
    """The host name by which the listener was called."""
    try:
        return request.url.host
    except ValueError:
        raise ProblemError(400, "the header Host names no host") from None


def _is_same_site(request: web.Request) -> bool:
    """Whether no other site made a browser send the request. Programs other than browsers send neither header.

    https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
    """
    fetched = request.headers.get("Sec-Fetch-Site")
    if fetched is not None:
        return fetched in _SAME_SITE
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return True
    try:
        return URL(origin).authority == request.host
    except ValueError:
        return False
