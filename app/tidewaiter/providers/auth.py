"""The compiled authentication of an account: fixed credentials, or a session with a login, also with OAuth 2.0."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias
from urllib.parse import quote_plus

from tidewaiter.domain.http_values import Credentials, Json, WireRequest
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.errors import SpecFault, UnsendableError
from tidewaiter.providers.extract import as_text, compile_pick
from tidewaiter.providers.login_replies import LoginReplyRules, LoginSession, compile_expiry, compile_place
from tidewaiter.providers.messages import Messages
from tidewaiter.providers.reply import basic_credential, origin_of
from tidewaiter.providers.reply_rules import Rules, compile_conditions
from tidewaiter.providers.request_building import NO_JOB, compile_request
from tidewaiter.providers.spec.auth_spec import (
    ASSERTION_ALGORITHMS,
    BEARER,
    AssertionSpec,
    BasicAuth,
    BearerAuth,
    BodyAuth,
    HeaderAuth,
    LoginSpec,
    NoAuth,
    OAuth2Auth,
    PlaceSpec,
    QueryAuth,
    SessionAuth,
)
from tidewaiter.providers.spec.field_types import PickSpec, holds
from tidewaiter.providers.spec.provider_spec import ProviderSpec
from tidewaiter.providers.template import Fixed, Reference, compile_text, parse_template, query_part, url_part
from tidewaiter.providers.xml_replies import xml_form

# --- signed assertions ------------------------------------------------------------------------------------------------


class UnusableKeyError(Exception):
    """A private key cannot be read, or is not for the algorithm; the message completes a sentence about it."""


@dataclass(frozen=True, slots=True)
class AssertionSigner:
    """Signs assertions of one client. Source: RFC 7523, section 3."""

    client_id: str
    audience: str
    algorithm: str
    key_id: str | None
    lasts_s: float
    key: Any = field(repr=False)

    @classmethod
    def make(
        cls, *, client_id: str, audience: str, algorithm: str, key_id: str | None, key: str, lasts_s: float
    ) -> "AssertionSigner":
        """A signer whose key was tried with its algorithm.

        Args:
            client_id: the client.
            audience: the server that checks it.
            algorithm: one of ``ASSERTION_ALGORITHMS``.
            key_id: which of the client's keys it is.
            key: the private key, as PEM or as JSON Web Key.
            lasts_s: seconds that an assertion is valid.

        Raises:
            UnusableKeyError: it cannot sign.
        """
        if algorithm not in ASSERTION_ALGORITHMS:
            raise UnusableKeyError(f"{algorithm!r} is none of the algorithms {', '.join(ASSERTION_ALGORITHMS)}")
        signer = cls(client_id, audience, algorithm, key_id, lasts_s, _loaded(key, algorithm))
        try:
            signer.sign(0.0, "trial")
        except Exception:  # noqa: BLE001  # the library passes on any exception of its backend
            raise UnusableKeyError(f"is no private key for {algorithm}") from None
        return signer

    def sign(self, now: float, nonce: str) -> str:
        """An assertion that is valid from ``now`` on (epoch seconds); ``nonce`` makes it unique."""
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": nonce,
            "exp": int(now + self.lasts_s),
        }
        headers = {} if self.key_id is None else {"kid": self.key_id}
        return str(_jwt().encode(claims, self.key, algorithm=self.algorithm, headers=headers))


def _loaded(key: str, algorithm: str) -> Any:
    """The key in the form that the library needs; a PEM stays text."""
    text = key.strip()
    if not text.startswith("{"):
        return text
    try:
        return _jwt().PyJWK.from_json(text, algorithm).key
    except Exception:  # noqa: BLE001  # as above
        raise UnusableKeyError(f"is no JSON Web Key for {algorithm}") from None


def _jwt() -> Any:
    # Imported late: few accounts sign, and cryptography needs 8 MB and 50 ms.
    import jwt  # noqa: PLC0415

    return jwt


# --- authentication ---------------------------------------------------------------------------------------------------


BuildLogin: TypeAlias = Callable[[float, str], WireRequest]
"""Builds a login request from the time in epoch seconds and a nonce."""

# The reply of a token endpoint. Source: RFC 6749, sections 5.1 and 5.2.
_OAUTH2_REPLY: Final = LoginSpec.model_validate({"url": "/", "token": "access_token", "expires_in": "expires_in"})
_OAUTH2_ERROR: Final = PickSpec.model_validate("error_description || error")
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class AccountAuth:
    """How an account authenticates: with fixed ``credentials``, or with a ``session`` that gets a token by a login.

    ``secrets`` are all values that no output may show: those of secret settings, and those that were made from them.
    ``redactor`` removes them from texts.
    """

    redactor: Redactor = field(repr=False, compare=False)
    credentials: Credentials = field(default_factory=Credentials, repr=False)
    session: LoginSession | None = field(default=None, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def compile_auth(
    spec: ProviderSpec, base_url: str, values: Mapping[str, Json], secrets: frozenset[str], faults: list[SpecFault]
) -> AccountAuth:
    """How an account with these settings authenticates.

    Args:
        spec: the provider.
        base_url: the base of a login URL that begins with ``/``.
        values: the settings.
        secrets: the values of secret settings.
        faults: faults of the settings are added to this list.
    """
    auth = AccountAuth(Redactor(secrets), secrets=secrets)
    variants = ((number, one) for number, one in enumerate(spec.auth) if holds(one.when, values))
    number, chosen = next(variants, (0, None))
    text = _Texts(spec, values, base_url)
    match chosen:
        case BasicAuth():
            credential = basic_credential(text.of(chosen.username), text.of(chosen.password))
            return _with_secret(
                replace(auth, credentials=Credentials({"Authorization": f"Basic {credential}"})), credential
            )
        case BearerAuth():
            return replace(auth, credentials=Credentials({"Authorization": f"Bearer {text.of(chosen.token)}"}))
        case HeaderAuth():
            return replace(auth, credentials=Credentials({chosen.name: text.of(chosen.value)}))
        case QueryAuth():
            return replace(auth, credentials=Credentials(query=((chosen.name, text.of(chosen.value)),)))
        case BodyAuth():
            return replace(auth, credentials=Credentials(body=((chosen.name, text.of(chosen.value)),)))
        case SessionAuth() | OAuth2Auth():
            key = f"auth[{number}]" if len(spec.auth) > 1 else "auth"
            return _compile_session(auth, chosen, key, text, faults)
        case NoAuth() | None:
            return auth


def _with_secret(auth: AccountAuth, *made: str) -> AccountAuth:
    """The same, with secrets that were made from settings."""
    auth.redactor.add(made)
    return replace(auth, secrets=auth.secrets.union(made))


@dataclass(frozen=True, slots=True)
class _Texts:
    """Renders templates that refer to settings only."""

    spec: ProviderSpec
    values: Mapping[str, Json]
    base_url: str

    def of(self, template: str | None) -> str:
        """The value of a template; empty if a setting is missing."""
        node = compile_text(template or "", self.values)
        return str(node.value) if isinstance(node, Fixed) and node.value is not None else ""

    def address(self, template: str) -> tuple[str, str]:
        """The base of a login's URL (the base URL, or a setting of type ``url``), and the template of the rest."""
        for name, one in self.spec.account.items():
            start = f"${{account.{name}}}"
            if one.type == "url" and template.startswith(start):
                return str(self.values.get(name)), template.removeprefix(start)
        return self.base_url, template

    def url(self, template: str) -> str:
        """A URL; settings after its base are percent-encoded."""
        before, rest = self.address(template)
        node = compile_text(rest, self.values, url_part, before=before)
        url = str(node.value) if isinstance(node, Fixed) and node.value is not None else ""
        if not origin_of(url):
            raise UnsendableError(f"{url!r}, to which the login would go, is not an http or https address")
        return url


@dataclass(frozen=True, slots=True)
class _Plan:
    """The differences of the two kinds of logins: the request, the reading of its reply, the place of the token."""

    build: BuildLogin
    reply: LoginSpec
    place: PlaceSpec
    errors: tuple[PickSpec, ...]
    secrets: frozenset[str] = frozenset()


def _compile_session(
    auth: AccountAuth, spec: SessionAuth | OAuth2Auth, key: str, text: _Texts, faults: list[SpecFault]
) -> AccountAuth:
    try:
        plan = _plan_token_request(spec, text) if isinstance(spec, OAuth2Auth) else _plan_login(spec, text)
    except UnusableKeyError as error:
        faults.append(SpecFault("", _setting_in(spec) or key, str(error)))
        return auth
    except UnsendableError as error:
        faults.append(SpecFault("", key, str(error)))
        return auth
    renew = tuple((f"{key}.renew[{number}]", compile_conditions(one)) for number, one in enumerate(spec.renew))
    reply = LoginReplyRules(
        key=f"{key}.login",
        rules=Rules(plan.reply.rules, f"{key}.login.rules"),
        token=compile_pick(plan.reply.token),
        expiry=compile_expiry(plan.reply),
        lifetime_s=spec.lifetime_s,
        renew_ahead_s=spec.renew_ahead_s,
        xml=xml_form(plan.reply.reply, text.spec.reply if isinstance(spec, SessionAuth) else None),
    )
    messages = Messages(compile_pick(plan.errors), auth.redactor)
    session = LoginSession(plan.build, reply, renew, compile_place(plan.place), messages, origin_of(text.base_url))
    return replace(_with_secret(auth, *plan.secrets), session=session)


def _plan_login(auth: SessionAuth, text: _Texts) -> _Plan:
    before, rest = text.address(auth.login.url)
    spec = auth.login.model_copy(update={"url": rest})
    request = compile_request(spec, before, text.values, fresh=True)(NO_JOB, None)
    return _Plan(lambda _now, _nonce: request, auth.login, auth.place, text.spec.error)


# --- OAuth 2.0 --------------------------------------------------------------------------------------------------------


def _plan_token_request(auth: OAuth2Auth, text: _Texts) -> _Plan:
    """A request to a token endpoint. Source: RFC 6749, section 4.4.2."""
    fields: dict[str, str] = {"grant_type": "client_credentials", "scope": text.of(auth.scope)}
    fields |= {name: text.of(as_text(value)) for name, value in auth.form.items()}
    headers = {"Accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    request = WireRequest("POST", text.url(auth.token_url), headers, fresh=True)
    plan = _Plan(lambda _now, _nonce: request, _OAUTH2_REPLY, BEARER, (_OAUTH2_ERROR, *text.spec.error))
    client_id, secret = text.of(auth.client_id), text.of(auth.client_secret)
    if auth.assertion is not None:
        return replace(plan, build=_signed(request, fields, _signer(auth.assertion, client_id, request.url, text)))
    if auth.send == "form":
        whole = replace(request, body=_form({**fields, "client_id": client_id, "client_secret": secret}))
        return replace(plan, build=lambda _now, _nonce: whole)
    # Encoded first, because a colon in the id would end it: RFC 6749, section 2.3.1.
    credential = basic_credential(quote_plus(client_id), quote_plus(secret))
    authenticated = replace(request, headers={**headers, "Authorization": f"Basic {credential}"}, body=_form(fields))
    return replace(plan, build=lambda _now, _nonce: authenticated, secrets=frozenset({credential}))


def _signed(request: WireRequest, fields: Mapping[str, str], signer: AssertionSigner) -> BuildLogin:
    """A login with a new signature each time. Source: RFC 7523, section 2.2."""

    def build(now: float, nonce: str) -> WireRequest:
        assertion = {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": signer.sign(now, nonce)}
        return replace(request, body=_form({**fields, **assertion}))

    return build


def _signer(spec: AssertionSpec, client_id: str, url: str, text: _Texts) -> AssertionSigner:
    return AssertionSigner.make(
        client_id=client_id,
        audience=text.of(spec.audience) or url,
        algorithm=text.of(spec.algorithm),
        key_id=text.of(spec.key_id) or None,
        key=text.of(spec.key),
        lasts_s=spec.lifetime_s,
    )


def _setting_in(auth: SessionAuth | OAuth2Auth) -> str | None:
    """The setting that holds the private key."""
    key = auth.assertion.key if isinstance(auth, OAuth2Auth) and auth.assertion is not None else ""
    return next((part.name for part in parse_template(key) if isinstance(part, Reference)), None)


def _form(fields: Mapping[str, str]) -> bytes:
    """A form without empty fields."""
    return "&".join(f"{query_part(name)}={query_part(value)}" for name, value in fields.items() if value).encode()
