"""Who calls the HTTP listener: tokens, the roles that they have, and the accounts that they are limited to."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from aiohttp import web

from app.desk import Actor, Way
from app.domain.scope import EVERY_ACCOUNT, Scope

API: Final = "/v1/"
"""Below it is the API; whatever else changes something is a form of a page."""


class Role(IntEnum):
    """What a caller may do; each may do what those before it may."""

    NOBODY = 0
    READ = 1
    SUBMIT = 2
    """Make jobs: single ones, batches, and those of schedules."""
    ADMIN = 3
    """Decide about jobs, accounts and notifications."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token (RFC 6750) as it is kept: by its SHA-256.

    ``expires_at`` is in epoch seconds. Two tokens may have one name, so that one can replace the other without a gap.
    """

    name: str
    role: Role
    digest: bytes
    scope: Scope = EVERY_ACCOUNT
    expires_at: float | None = None

    @classmethod
    def of(
        cls, name: str, role: Role, token: str, scope: Scope = EVERY_ACCOUNT, expires_at: float | None = None
    ) -> "Token":
        """The token whose text this is."""
        return cls(name, role, digest_of(token), scope, expires_at)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of the token, or what stands for it; and whether that came in a browser's session.

    ``fault`` is why a token that was sent does not count; ``unavailable`` why nobody can tell who it is;
    ``slowed_s`` for how many seconds no token of its address is looked at.
    """

    name: str
    role: Role
    in_session: bool = False
    scope: Scope = EVERY_ACCOUNT
    fault: str | None = None
    unavailable: str | None = None
    slowed_s: float = 0.0


CALLER: Final = web.RequestKey("caller", Caller)
"""Where a request has its caller."""


REASON: Final = web.RequestKey("reason", str)
"""Why somebody does what a request asks for, where that is said."""


@dataclass(frozen=True, slots=True)
class Recheck:
    """Asks whether a request that goes on for long would still be let in."""

    stands: Callable[[], Awaitable[bool]]


REMOTE: Final = web.RequestKey("remote", str)
"""Where a request has the address of its caller, behind trusted proxies too."""
RECHECK: Final = web.RequestKey("recheck", Recheck)


def scope_of(request: web.Request) -> Scope:
    """The accounts that the caller of a request may know of."""
    return request[CALLER].scope


def actor_of(request: web.Request) -> Actor:
    """Who acts by a request; on a page where it is no request of the API."""
    way = Way.API if request.path.startswith(API) else Way.PAGE
    return Actor(request[CALLER].name, way, request[REMOTE])


def digest_of(token: str) -> bytes:
    """The SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
