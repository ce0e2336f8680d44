"""Who may do what on the HTTP listener: bearer tokens, sessions of browsers, and the rule of every route.

Where tokens are configured everybody shows one. Where none are, the listener is on loopback only (the
configuration sees to that), everybody there is an admin, and two doors stay shut that a browser on the same machine
would open: requests that another site makes it send, and names that were made to point at loopback.
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

from app.clock import Clock
from app.desk.actors import plain
from app.log import EventLog
from app.store.errors import StoreUnavailableError
from app.store.sessions import SessionStore
from app.web.callers import CALLER, REASON, RECHECK, REMOTE, Caller, Recheck, Role, Token, actor_of, digest_of
from app.web.guesses import Guesses
from app.web.problems import ProblemError, problem_of
from app.web.proxies import UNKNOWN, Network, address_of, place_of
from app.web.rules import SAFE, Rule, Rules, rule_for

SESSION_S: Final = 12 * 3600.0
"""How long a browser stays signed in, in seconds."""
SESSION_COOKIE: Final = "tidewaiter_session"
SIGN_IN: Final = "/login"
"""Where a browser shows its token; whoever has none yet is sent there."""
SIGN_OUT: Final = "/logout"
"""Where a browser forgets it; anybody may."""
STATIC: Final = "/static/"
"""Below it is what pages look like: open to everybody, and the same for everybody."""
_LONGEST_EPOCH: Final = 12
_ID_BYTES: Final = 8
_LONGEST_REASON: Final = 500
_LONGEST_TARGET: Final = 100
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500
_SAME_SITE: Final = frozenset({"same-origin", "none"})


_ANYBODY: Final = Caller("anybody", Role.NOBODY)
_LOCAL: Final = Caller("loopback", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """What the configuration says of callers.

    Without ``tokens`` everybody is an admin. ``hosts`` are the names under which the listener may be called then, in
    lower case. ``proxies`` are networks of proxies that are trusted to name the caller.
    """

    tokens: Sequence[Token]
    hosts: Collection[str] = frozenset()
    proxies: Sequence[Network] = ()


class Access:
    """Knows callers by their tokens, and turns away who may not.

    Args:
        settings: tokens, names of the listener, and trusted proxies.
        open_paths: what anybody may read, such as the health of the process.
        clock: the time.
        log: told of what admins do, and of who is turned away.
        sessions: the sessions that were ended before their time, by whatever process.
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
        self._guesses = Guesses(clock)

    def reconfigure(self, settings: AccessSettings) -> None:
        """Use these settings from now on. A token that is gone opens nothing any more, nor does a session of it."""
        self._settings = settings

    @property
    def needs_token(self) -> bool:
        """Whether callers have to show a token."""
        return bool(self._settings.tokens)

    def middleware(self, rules: Rules) -> Middleware:
        """What stands before every route; ``rules`` are those of the routes that have one."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            request[REMOTE] = address_of(request, self._settings.proxies)
            caller = await self._caller(request)
            request[CALLER], request[RECHECK] = caller, Recheck(partial(self._stands, request, caller))
            rule = self._rule(request, rules)
            self._check(request, caller, rule)
            if rule.role < Role.SUBMIT:  # nothing is changed there; signing in has a line of its own
                return await handler(request)
            return await self._audited(request, caller, handler)

        return guarded

    def sign_in(self, text: str, remote: str = UNKNOWN) -> str | None:
        """What a browser keeps in :data:`SESSION_COOKIE` for a token that was typed; ``None`` if there is none such.

        The session is signed with the token, so it holds in every process that knows the token, and ends when the token
        is changed. Only one that is ended before its time is noted in the database, under the id that is in it.
        ``remote`` is the address it came from.

        Raises:
            ProblemError: 429 where too many wrong tokens came from there.
        """
        if (wait_s := self._guesses.wait_s(place_of(remote))) > 0:
            raise self._slowed(remote, wait_s)
        token = self._find(text)
        if token is None:
            self._guesses.wrong(place_of(remote))
        fault = "no token is like the one that was typed" if token is None else self._expired(token)
        if token is None or fault is not None:
            self._log.emit("access.refused", status=401, reason=fault, remote=remote)
            return None
        self._log.emit("browser.signed_in", caller=token.name, remote=remote)
        session = _Session(token.name, str(int(self._clock.now() + SESSION_S)), secrets.token_hex(_ID_BYTES))
        return session.signed(token)

    async def sign_out(self, cookie: str) -> None:
        """End the session of a cookie, in every process that uses this database; of another cookie nothing is noted.

        Raises:
            StoreUnavailableError: the database cannot be reached, so the session goes on.
        """
        found = self._signed(cookie)
        if found is not None:
            session, token = found
            await self._sessions.end(session.id, float(session.until))
            self._log.emit("browser.signed_out", caller=token.name)

    async def _stands(self, request: web.Request, caller: Caller) -> bool:
        """Whether a request that was let in would be let in now: its token may be gone, and its session ended."""
        return await self._caller(request) == caller

    def _rule(self, request: web.Request, rules: Rules) -> Rule:
        is_open = request.path in self._open_paths or request.path.startswith(STATIC)
        if request.path in (SIGN_IN, SIGN_OUT) or (is_open and request.method in SAFE):
            return Rule(Role.NOBODY, limited=True)
        return rule_for(request, rules)

    def _check(self, request: web.Request, caller: Caller, rule: Rule) -> None:
        host = _host(request)
        if not self._settings.tokens and host is not None and host.lower() not in self._settings.hosts:
            raise self._refusal(request, 421, "this address answers to its own name only; [http] public_url adds one")
        if request.method not in SAFE and not _is_same_site(request):
            raise self._refusal(request, 403, "another site made your browser send this; nothing was done")
        if caller.role >= rule.role:
            if caller.scope.is_limited and not rule.limited:
                detail = f"the token {caller.name} is limited to some accounts; what is at this address is not"
                raise self._refusal(request, 403, detail)
            return
        if caller.slowed_s > 0:
            raise self._slowed(request[REMOTE], caller.slowed_s)
        if caller.unavailable is not None:
            raise StoreUnavailableError(caller.unavailable)
        if caller.role is Role.NOBODY and request.method in SAFE and _wants_page(request):
            raise web.HTTPSeeOther(str(URL(SIGN_IN).with_query(next=request.path_qs)))
        if caller.role is Role.NOBODY:
            refusal = self._refusal(request, 401, caller.fault or "a token is needed: Authorization: Bearer TOKEN")
            refusal.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="tidewaiter"'
            raise refusal
        raise self._refusal(
            request,
            403,
            f"the token {caller.name} has the role {caller.role.name.lower()}; "
            f"this takes the role {rule.role.name.lower()}",
        )

    def _refusal(self, request: web.Request, status: int, detail: str) -> ProblemError:
        self._log.emit("access.refused", status=status, reason=detail, remote=request[REMOTE])
        return ProblemError(status, detail)

    async def _audited(self, request: web.Request, caller: Caller, handler: Handler) -> web.StreamResponse:
        """Note who did what, and how it ended, whichever way that was."""
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
                way=actor_of(request).way.value,
                action=f"{request.method} {request.path}",
                target=_target(request),
                reason=plain(request.get(REASON, ""), _LONGEST_REASON) or None,
                outcome="done" if status < _CLIENT_ERROR else "refused" if status < _SERVER_ERROR else "failed",
                status=status,
                remote=request[REMOTE],
            )

    async def _caller(self, request: web.Request) -> Caller:
        if not self._settings.tokens:
            return _LOCAL
        scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if text and scheme.lower() == "bearer":  # another scheme is for a proxy before us
            return self._by_token(text.strip(), place_of(request[REMOTE]))
        return await self._in_session(request.cookies.get(SESSION_COOKIE, ""))

    def _by_token(self, text: str, place: str) -> Caller:
        if (wait_s := self._guesses.wait_s(place)) > 0:
            return replace(_ANYBODY, slowed_s=wait_s)
        token = self._find(text)
        if token is None:
            self._guesses.wrong(place)
            return _ANYBODY
        return self._bearer_of(token)

    def _slowed(self, remote: str, wait_s: float) -> ProblemError:
        reason = "too many wrong tokens came from this address; no token of it is looked at for a while"
        self._log.emit("access.slowed", reason=reason, remote=remote)
        return ProblemError(429, reason, retry_after_s=wait_s)

    def _find(self, text: str) -> Token | None:
        """The token of that text; every one is compared, in a time that tells nothing."""
        digest = digest_of(text)
        found = [token for token in self._settings.tokens if hmac.compare_digest(token.digest, digest)]
        return found[0] if found else None

    async def _in_session(self, cookie: str) -> Caller:
        """Who has a session. Where the database cannot say whether it was ended, it opens nothing: it may have been."""
        found = self._signed(cookie)
        if found is None:
            return _ANYBODY
        session, token = found
        try:
            has_ended = await self._sessions.has_ended(session.id)
        except StoreUnavailableError as error:
            return replace(_ANYBODY, unavailable=str(error))
        return _ANYBODY if has_ended else self._bearer_of(token, in_session=True)

    def _signed(self, cookie: str) -> tuple["_Session", Token] | None:
        """The session of a cookie that is not over, and the token with which it is signed."""
        session, _, _ = cookie.rpartition(".")
        name, until, identity = (*session.split("."), "", "")[:3]
        is_number = until.isascii() and until.isdigit() and len(until) <= _LONGEST_EPOCH
        if not is_number or int(until) < self._clock.now():
            return None
        made = _Session(name, until, identity)
        for token in self._settings.tokens:
            if token.name == name and hmac.compare_digest(made.signed(token), _ascii(cookie)):
                return made, token
        return None

    def _bearer_of(self, token: Token, *, in_session: bool = False) -> Caller:
        if (expired := self._expired(token)) is not None:
            return Caller(token.name, Role.NOBODY, fault=expired)
        return Caller(token.name, token.role, in_session=in_session, scope=token.scope)

    def _expired(self, token: Token) -> str | None:
        """What is wrong with a token that has expired. That goes by the time of day, which its date was written in."""
        if token.expires_at is None or self._clock.now() + self._clock.skew() < token.expires_at:
            return None
        at = datetime.fromtimestamp(token.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"the token {token.name} has expired at {at}"


@dataclass(frozen=True, slots=True)
class _Session:
    """What a cookie says: the token's name, the epoch second of its end, and what tells it from others."""

    name: str
    until: str
    id: str

    def signed(self, token: Token) -> str:
        """The whole cookie."""
        said = f"{self.name}.{self.until}.{self.id}"
        signature = hmac.digest(token.digest, f"session {said}".encode(), "sha256")
        return f"{said}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _target(request: web.Request) -> str | None:
    """What a request is about, such as ``job 12``: the part of its address that has a name or a number."""
    for member in ("id", "name"):
        if (given := request.match_info.get(member)) is not None:
            parts = request.match_info.route.resource.canonical.split("/") if request.match_info.route.resource else []
            kind = parts[parts.index(f"{{{member}}}") - 1].removesuffix("s")
            return plain(f"{kind} {given}", _LONGEST_TARGET)
    return None


def _ascii(text: str) -> str:
    """``compare_digest`` takes no other text."""
    return text if text.isascii() else ""


def _host(request: web.Request) -> str | None:
    """The name under which the listener was called."""
    try:
        return request.url.host
    except ValueError:
        raise ProblemError(400, "the header Host names no host") from None


def _wants_page(request: web.Request) -> bool:
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


def _is_same_site(request: web.Request) -> bool:
    """Whether no other site is behind a request. Programs that are no browsers send neither header.

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
