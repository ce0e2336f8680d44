"""Copernica's login host: gives a session token, which is a JWT, for the access token of an account.

Its origin differs from the API's. Source: the authentication of REST v4 in public clients of it.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final
from urllib.parse import parse_qsl

from pydantic import ConfigDict, Field

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import STRICT, FaultRule
from tidewaiter.emulators.emulated_replies import Reply, json_reply, text_reply
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer

_KEY: Final = b"emulated signing key of the login host"


class TokenForm(StrEnum):
    """How the reply carries the token: as the whole body, as a JSON string, or as a member of a JSON object."""

    RAW = "raw"
    STRING = "string"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class LoginVariants:
    """What the documents leave open about a login."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    form: Annotated[TokenForm, Field(description="The form of the token in the reply.")] = TokenForm.RAW
    member: Annotated[str, Field(description="Its name in a JSON object.")] = "access_token"
    lifetime_s: Annotated[float, Field(description="How long a token is valid.")] = 86_400.0
    signed: Annotated[bool, Field(description="Whether its HS256 signature is valid.")] = True
    refusal: Annotated[int, Field(ge=200, le=499, description="The HTTP status of a refused login.")] = 401


@dataclass(slots=True)
class SessionToken:
    """One token; times in epoch seconds by the host's own clock."""

    jwt: str
    issued_at: float
    expires_at: float
    revoked: bool = False


class CopernicaLogin(EmulatedServer):
    """The login host for one account, whose access token is ``access_token``; it has one route, ``login``."""

    software: ClassVar[str] = "Copernica"
    variants: LoginVariants

    def __init__(
        self,
        *,
        clock: Clock,
        access_token: str,
        variants: LoginVariants | None = None,
        faults: Sequence[FaultRule] = (),
        port: int = 0,
        skew_s: float = 0.0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port, skew_s=skew_s)
        self.access_token = access_token
        self.variants = variants or LoginVariants()
        self.issued: list[SessionToken] = []
        self._by_jwt: dict[str, SessionToken] = {}

    def routes(self) -> Iterable[EmulatedRoute]:
        """The only route."""
        return [EmulatedRoute("login", "POST", "/", self._login)]

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the form of this API."""
        return json_reply({"error": {"message": message}}, status)

    def holds(self, jwt: str) -> bool:
        """Whether a token is from this host, not revoked, and not expired."""
        token = self._by_jwt.get(jwt)
        return token is not None and not token.revoked and self.server_now() < token.expires_at

    def revoke(self, jwt: str) -> None:
        """Make a token invalid from now on."""
        if jwt in self._by_jwt:
            self._by_jwt[jwt].revoked = True

    def _login(self, call: EmulatedCall) -> Reply:
        if not call.request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            return self.refusal(self.variants.refusal, "The access_token is missing")
        form = dict(parse_qsl(call.request.body.decode(errors="replace"), keep_blank_values=True))
        if form.get("access_token") != self.access_token:
            return self.refusal(self.variants.refusal, "Invalid access token")
        jwt = self._issue().jwt
        match self.variants.form:
            case TokenForm.RAW:
                return text_reply(jwt)
            case TokenForm.STRING:
                return json_reply(jwt)
            case TokenForm.OBJECT:
                return json_reply({self.variants.member: jwt})

    def _issue(self) -> SessionToken:
        now = self.server_now()
        expires_at = now + self.variants.lifetime_s
        claims = {"iss": "copernica", "jti": str(len(self.issued) + 1), "iat": int(now), "exp": int(expires_at)}
        token = SessionToken(_jwt(claims, signed=self.variants.signed), now, expires_at)
        self.issued.append(token)
        self._by_jwt[token.jwt] = token
        return token


def _jwt(claims: Mapping[str, object], *, signed: bool) -> str:
    """A JWT in its compact form (RFC 7519 with HS256); a false signature is made with another key."""
    head = _part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    unsigned = f"{head}.{_part(json.dumps(claims).encode())}"
    key = _KEY if signed else b"another key"
    return f"{unsigned}.{_part(hmac.new(key, unsigned.encode(), hashlib.sha256).digest())}"


def is_signed(jwt: str) -> bool:
    """Whether the signature of a token is valid."""
    unsigned, _, signature = jwt.rpartition(".")
    return hmac.compare_digest(signature, _part(hmac.new(_KEY, unsigned.encode(), hashlib.sha256).digest()))


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
