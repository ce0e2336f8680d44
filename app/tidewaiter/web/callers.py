"""Who calls the HTTP listener: tokens, their roles, and the accounts that they are limited to."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from aiohttp import web

from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.services import Actor, Channel

API: Final = "/v1/"
"""The prefix of the API. Anything else that changes something is a form of a page."""


class Role(IntEnum):
    """What a caller may do; each role includes those before it."""

    NOBODY = 0
    READ = 1
    SUBMIT = 2
    """Submit jobs: single ones, batches, and those of schedules."""
    ADMIN = 3
    """Decide about jobs, accounts and notifications."""


@dataclass(frozen=True, slots=True)
class CallerToken:
    """A bearer token (RFC 6750), stored as its SHA-256.

    ``expires_at`` is in epoch seconds. Two tokens may have the same name, so that one can
    replace the other without a gap.
    """

    name: str
    role: Role
    digest: bytes
    scope: Scope = EVERY_ACCOUNT
    expires_at: float | None = None

    @classmethod
    def of(
        cls, name: str, role: Role, token: str, scope: Scope = EVERY_ACCOUNT, expires_at: float | None = None
    ) -> "CallerToken":
        """The token with this text."""
        return cls(name, role, digest_of(token), scope, expires_at)


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: the name of its token or a substitute, its role, and whether a browser session sent it.

    ``fault`` is why the token that was sent is refused. ``unavailable`` is why the caller could not be identified.
    ``slowed_s`` is for how many seconds no token from its address is checked.
    """

    name: str
    role: Role
    in_session: bool = False
    scope: Scope = EVERY_ACCOUNT
    fault: str | None = None
    unavailable: str | None = None
    slowed_s: float = 0.0


CALLER: Final = web.RequestKey("caller", Caller)
"""The key of a request that holds its caller."""
REASON: Final = web.RequestKey("reason", str)
"""The key of the reason that the caller gave for the action."""
TARGET: Final = web.RequestKey("target", str)
"""The key of what the action made or changed, where the path does not name it."""


@dataclass(frozen=True, slots=True)
class AccessRecheck:
    """Checks whether a long request would still be permitted."""

    is_permitted: Callable[[], Awaitable[bool]]


REMOTE: Final = web.RequestKey("remote", str)
"""The key of the address of the caller, also behind trusted proxies."""
RECHECK: Final = web.RequestKey("recheck", AccessRecheck)


def scope_of(request: web.Request) -> Scope:
    """The accounts that the caller of a request may see."""
    return request[CALLER].scope


def actor_of(request: web.Request) -> Actor:
    """The actor of a request: through the API, or else through a page."""
    channel = Channel.API if request.path.startswith(API) else Channel.PAGE
    return Actor(request[CALLER].name, channel, request[REMOTE])


def digest_of(token: str) -> bytes:
    """The SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
