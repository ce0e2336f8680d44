"""The compiled authentication of an account: fixed credentials, or a session with a login, also with OAuth 2.0."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias
from urllib.parse import quote_plus

from tidewaiter.domain.http_values import Credentials, Json, WireRequest
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.credentials.login_replies import (
    LoginReplyRules,
    LoginSession,
    RefreshGrant,
    SignedSession,
    compile_expiry,
    compile_place,
)
from tidewaiter.providers.credentials.login_values import LoginValues
from tidewaiter.providers.credentials.signature_auth import UnusableSignatureError, compile_signature
from tidewaiter.providers.credentials.signed_tokens import SigningKey, TokenSigner, UnusableKeyError, secrets_in
from tidewaiter.providers.errors import SpecFault, UnsendableError
from tidewaiter.providers.replies.extract import compile_pick
from tidewaiter.providers.replies.messages import Messages
from tidewaiter.providers.replies.reply_rules import Condition, Rules, compile_conditions
from tidewaiter.providers.replies.xml_replies import xml_form
from tidewaiter.providers.requests.request_building import NO_JOB, compile_request
from tidewaiter.providers.spec.all_auth_spec import Auth, SeveralAuth, parts_of
from tidewaiter.providers.spec.auth_spec import (
    AssertionSpec,
    BasicAuth,
    BasicSpec,
    BearerAuth,
    BodyAuth,
    HeaderAuth,
    JwtAuth,
    Keep,
    LoginSpec,
    NoAuth,
    OAuth2Auth,
    PlaceSpec,
    QueryAuth,
    SessionAuth,
    TokenAuth,
)
from tidewaiter.providers.spec.field_types import PickSpec, holds
from tidewaiter.providers.spec.provider_spec import ProviderSpec
from tidewaiter.providers.spec.signing_spec import Aws4Auth, HmacAuth
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.providers.values.template import (
    KEY_SHA256,
    Fixed,
    Reference,
    compile_text,
    compile_tree,
    parse_template,
    query_part,
    url_part,
)
from tidewaiter.providers.values.texts import as_text, basic_credential

BuildLogin: TypeAlias = Callable[[float, str], WireRequest]
"""Builds a login request from the time in epoch seconds and a nonce."""

# The reply of a token endpoint. Source: RFC 6749, sections 5.1 and 5.2.
_OAUTH2_REPLY: Final = LoginSpec.model_validate({"url": "/", "token": "access_token", "expires_in": "expires_in"})
_OAUTH2_ERROR: Final = PickSpec.model_validate("error_description || error")
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class AccountAuth:
    """How an account authenticates: with fixed ``credentials``, or with a ``session`` and its tokens.

    ``named`` are other credentials, for the requests and origins that name them.

    ``secrets`` are all values that no output may show: those of secret settings, and those that were made from them.
    ``redactor`` removes them from texts.
    """

    redactor: Redactor = field(repr=False, compare=False)
    credentials: Credentials = field(default_factory=Credentials, repr=False)
    session: LoginSession | SignedSession | None = field(default=None, repr=False)
    named: Mapping[str, Credentials] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Renders templates that refer to settings only."""

    spec: ProviderSpec
    values: Mapping[str, Json]
    base_url: str
    origins: OwnOrigins

    def of(self, template: str | None) -> str:
        """The value of a template; empty if a setting is missing."""
        node = compile_text(template or "", self.values)
        return str(node.value) if isinstance(node, Fixed) and node.value is not None else ""

    def tree(self, tree: Mapping[str, Json], key: SigningKey) -> Mapping[str, Json]:
        """A tree of templates that may also refer to a key; members without a value are left out."""
        node = compile_tree(tree, {**self.values, KEY_SHA256: key.sha256})
        return node.value if isinstance(node, Fixed) and isinstance(node.value, Mapping) else {}

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


def compile_auth(
    spec: ProviderSpec,
    base_url: str,
    values: Mapping[str, Json],
    secrets: frozenset[str],
    faults: list[SpecFault],
    *,
    origins: OwnOrigins,
) -> AccountAuth:
    """How an account with these settings authenticates.

    Args:
        spec: the provider.
        base_url: the base of a login URL that begins with ``/``.
        values: the settings.
        secrets: the values of secret settings.
        faults: faults of the settings are added to this list.
        origins: those of the provider.
    """
    auth = AccountAuth(Redactor(secrets), secrets=secrets)
    variants = ((number, one) for number, one in enumerate(spec.auth) if holds(one.when, values))
    number, chosen = next(variants, (0, None))
    text = _Texts(spec, values, base_url, origins)
    if chosen is not None:
        for key, one in parts_of(chosen, f"auth[{number}]" if len(spec.auth) > 1 else "auth"):
            if holds(one.when, values):
                auth = _with(auth, one, key, text, faults)
    if auth.session is not None:
        auth = replace(auth, session=replace(auth.session, beside=auth.credentials, xml=xml_form(spec.reply)))
    for name, other in spec.auths.items():
        auth = _with_named(auth, name, other, text, faults)
    return auth


def _with_named(auth: AccountAuth, name: str, spec: Auth, text: _Texts, faults: list[SpecFault]) -> AccountAuth:
    """The same, with credentials for the requests and origins that name them."""
    named = AccountAuth(auth.redactor)
    for key, one in parts_of(spec, f"auths.{name}"):
        if holds(spec.when, text.values) and holds(one.when, text.values):
            named = _with(named, one, key, text, faults)
    return replace(auth, named={**auth.named, name: named.credentials}, secrets=auth.secrets | named.secrets)


def _with(auth: AccountAuth, one: Auth, key: str, text: _Texts, faults: list[SpecFault]) -> AccountAuth:
    """The same, with one more kind of credential."""
    match one:
        case BasicAuth():
            credential = _basic(one, text)
            return _with_fixed(_with_secret(auth, credential), Credentials({"Authorization": f"Basic {credential}"}))
        case BearerAuth():
            return _with_fixed(auth, Credentials({"Authorization": f"Bearer {text.of(one.token)}"}))
        case HeaderAuth():
            return _with_fixed(auth, Credentials({one.name: text.of(one.value)}))
        case QueryAuth():
            return _with_fixed(auth, Credentials(query=((one.name, text.of(one.value)),)))
        case BodyAuth():
            return _with_fixed(auth, Credentials(body=((one.name, text.of(one.value)),)))
        case HmacAuth() | Aws4Auth():
            return _with_signer(auth, one, key, text, faults)
        case SessionAuth() | OAuth2Auth() | JwtAuth():
            return _compile_session(auth, one, key, text, faults)
        case NoAuth() | SeveralAuth():  # several never contain several
            return auth


def _with_signer(
    auth: AccountAuth, spec: HmacAuth | Aws4Auth, key: str, text: _Texts, faults: list[SpecFault]
) -> AccountAuth:
    try:
        signer, secrets = compile_signature(spec, key, text.of, text.values, auth.redactor)
    except UnusableSignatureError as error:
        faults.append(SpecFault("", error.place, str(error)))
        return auth
    return _with_fixed(_with_secret(auth, *secrets), Credentials(signer=signer))


def _basic(one: BasicAuth | BasicSpec, text: _Texts) -> str:
    return basic_credential(text.of(one.username), text.of(one.password))


def _with_fixed(auth: AccountAuth, fixed: Credentials) -> AccountAuth:
    return replace(auth, credentials=auth.credentials.joined(fixed))


def _with_secret(auth: AccountAuth, *made: str) -> AccountAuth:
    """The same, with secrets that were made from settings."""
    auth.redactor.add(made)
    return replace(auth, secrets=auth.secrets.union(made))


@dataclass(frozen=True, slots=True)
class _Plan:
    """The differences of the two kinds of logins: the request, the reading of its reply, the place of the token."""

    build: BuildLogin
    reply: LoginSpec
    place: PlaceSpec
    errors: tuple[PickSpec, ...]
    secrets: frozenset[str] = frozenset()
    keep: Keep = field(default_factory=dict)
    refresh: RefreshGrant | None = None


def _compile_session(
    auth: AccountAuth, spec: SessionAuth | OAuth2Auth | JwtAuth, key: str, text: _Texts, faults: list[SpecFault]
) -> AccountAuth:
    try:
        if isinstance(spec, JwtAuth):
            return replace(auth, session=_signed_session(auth, spec, key, text))
        plan = _plan_token_request(spec, text) if isinstance(spec, OAuth2Auth) else _plan_login(spec, text)
    except UnusableKeyError as error:
        faults.append(SpecFault("", _setting_in(spec) or key, str(error)))
        return auth
    except UnsendableError as error:
        faults.append(SpecFault("", key, str(error)))
        return auth
    reply = LoginReplyRules(
        key=f"{key}.login",
        rules=Rules(plan.reply.rules, f"{key}.login.rules"),
        token=compile_pick(plan.reply.token),
        expiry=compile_expiry(plan.reply),
        lifetime_s=spec.lifetime_s,
        renew_ahead_s=spec.renew_ahead_s,
        xml=xml_form(plan.reply.reply, text.spec.reply if isinstance(spec, SessionAuth) else None),
        keep={name: compile_pick(picks) for name, picks in plan.keep.items()},
    )
    messages = Messages(compile_pick(plan.errors), auth.redactor)
    session = LoginSession(
        _renew=_renewals(spec, key),
        _place=compile_place(plan.place),
        _messages=messages,
        _origins=text.origins,
        login=plan.build,
        values=LoginValues(tuple(plan.keep), text.base_url, text.origins),
        _reply=reply,
        refresh=plan.refresh,
    )
    return replace(_with_secret(auth, *plan.secrets), session=session)


def _renewals(spec: TokenAuth, key: str) -> tuple[tuple[str, Condition], ...]:
    return tuple((f"{key}.renew[{number}]", compile_conditions(one)) for number, one in enumerate(spec.renew))


def _signed_session(auth: AccountAuth, spec: JwtAuth, key: str, text: _Texts) -> SignedSession:
    signing = SigningKey.load(text.of(spec.key), text.of(spec.algorithm), text.of(spec.key_id) or None)
    claims = text.tree({**spec.claims}, signing)
    return SignedSession(
        _renew=_renewals(spec, key),
        _place=compile_place(spec.place),
        _messages=Messages(compile_pick(text.spec.error), auth.redactor),
        _origins=text.origins,
        key=f"{key}.claims",
        signer=TokenSigner(signing, claims, spec.lifetime_s, dated=True, numbered=False),
        renew_ahead_s=spec.renew_ahead_s,
    )


def _plan_login(auth: SessionAuth, text: _Texts) -> _Plan:
    before, rest = text.address(auth.login.url)
    spec = auth.login.model_copy(update={"url": rest})
    request = compile_request(spec, before, text.values, fresh=True)(NO_JOB, None)
    secrets = frozenset[str]()
    if (basic := auth.login.basic) is not None and holds(basic.when, text.values):
        credential = _basic(basic, text)
        request, secrets = request.with_headers({"Authorization": f"Basic {credential}"}), frozenset({credential})
    return _Plan(lambda _now, _nonce: request, auth.login, auth.place, text.spec.error, secrets, auth.login.keep)


# --- OAuth 2.0 --------------------------------------------------------------------------------------------------------


def _plan_token_request(auth: OAuth2Auth, text: _Texts) -> _Plan:
    """A request to a token endpoint. Sources: RFC 6749, sections 4.4.2 and 6; RFC 7523, section 2."""
    refresh = _refresh_grant(auth, text) if auth.grant == "refresh_token" else None
    grant = {"grant_type": _JWT_BEARER if auth.grant == "jwt_bearer" else auth.grant}
    build, secrets = _token_request(auth, text, grant if refresh is None else _renewing(refresh.configured))
    errors = (_OAUTH2_ERROR, *text.spec.error)
    return _Plan(build, _OAUTH2_REPLY, auth.place, errors, secrets, auth.keep, refresh)


def _refresh_grant(auth: OAuth2Auth, text: _Texts) -> RefreshGrant:
    return RefreshGrant(
        setting=_setting_of(auth.refresh_token or "") or "refresh_token",
        configured=text.of(auth.refresh_token),
        rotates=auth.rotates is True,
        reuse=auth.reuse,
        _login_with=lambda token: _token_request(auth, text, _renewing(token))[0],
    )


def _renewing(token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": token}


def _token_request(auth: OAuth2Auth, text: _Texts, grant: Mapping[str, str]) -> tuple[BuildLogin, frozenset[str]]:
    """The request for a grant with the client's proof, and the secrets that were made for it."""
    bears = auth.grant == "jwt_bearer"
    fields: dict[str, str] = {**grant, "scope": text.of(auth.scope)}
    fields |= {name: text.of(as_text(value)) for name, value in auth.form.items()}
    headers = {"Accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    request = WireRequest("POST", text.url(auth.token_url), headers, fresh=True)
    client_id, secret = text.of(auth.client_id), text.of(auth.client_secret)
    secrets = frozenset[str]()
    if secret and auth.send == "basic":
        # Encoded first, because a colon in the id would end it: RFC 6749, section 2.3.1.
        credential = basic_credential(quote_plus(client_id), quote_plus(secret))
        request, secrets = request.with_headers({"Authorization": f"Basic {credential}"}), frozenset({credential})
    elif secret or bears or auth.assertion is None:
        fields |= {"client_id": client_id, "client_secret": secret}
    if auth.assertion is None:
        return _unsigned(request, fields), secrets
    return _signed(request, fields, _signer(auth, auth.assertion, request.url, text), bears=bears), secrets


def _unsigned(request: WireRequest, fields: Mapping[str, str]) -> BuildLogin:
    whole = replace(request, body=_form(fields))
    return lambda _now, _nonce: whole


def _signed(request: WireRequest, fields: Mapping[str, str], signer: TokenSigner, *, bears: bool) -> BuildLogin:
    """A login with a new signature each time."""

    def build(now: float, nonce: str) -> WireRequest:
        token = signer.sign(now, nonce)
        sent = {"assertion": token} if bears else {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": token}
        return replace(request, body=_form({**fields, **sent}), secrets=secrets_in(token))

    return build


def _signer(auth: OAuth2Auth, spec: AssertionSpec, url: str, text: _Texts) -> TokenSigner:
    """Signs the assertions of a client; only a client is its own issuer and subject. Source: RFC 7523, section 3."""
    key = SigningKey.load(text.of(spec.key), text.of(spec.algorithm), text.of(spec.key_id) or None)
    bears, client_id = auth.grant == "jwt_bearer", text.of(auth.client_id)
    usual: Mapping[str, Json] = {} if bears else {"iss": client_id, "sub": client_id}
    claims = {**usual, "aud": text.of(spec.audience) or url, **text.tree({**spec.claims}, key)}
    return TokenSigner(key, claims, spec.lifetime_s, dated=bears, numbered=True)


def _setting_in(auth: SessionAuth | OAuth2Auth | JwtAuth) -> str | None:
    """The setting that holds the private key."""
    key = auth.key if isinstance(auth, JwtAuth) else ""
    if isinstance(auth, OAuth2Auth) and auth.assertion is not None:
        key = auth.assertion.key
    return _setting_of(key)


def _setting_of(template: str) -> str | None:
    return next((part.name for part in parse_template(template) if isinstance(part, Reference)), None)


def _form(fields: Mapping[str, str]) -> bytes:
    """A form without empty fields."""
    return "&".join(f"{query_part(name)}={query_part(value)}" for name, value in fields.items() if value).encode()
