"""How an account authenticates: with keys, passwords, or a session that a login opens."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, JsonValue, model_validator

from tidewaiter.providers.spec.field_types import (
    Codes,
    InvalidValueError,
    Items,
    Name,
    Picks,
    Scalar,
    SentHeaderName,
    SpecTable,
    SpecVariant,
    Text,
)
from tidewaiter.providers.spec.request_spec import ConditionsSpec, RequestSpec, RuleSpec, Words

Seconds: TypeAlias = Annotated[float, Field(gt=0)]
Keep: TypeAlias = Mapping[Name, Picks]

ASSERTION_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The algorithms of RFC 7518 and RFC 8037 that need no shared secret."""


class NoAuth(SpecVariant):
    """No authentication."""

    type: Literal["none"]


class BasicSpec(SpecVariant):
    """User name and password of HTTP Basic, for a login. Source: RFC 7617."""

    username: Text = Field(description="the user name")
    password: Text = Field(description="the password, a secret setting")


class BasicAuth(BasicSpec):
    """HTTP Basic. Source: RFC 7617."""

    type: Literal["basic"]


class BearerAuth(SpecVariant):
    """A token in ``Authorization: Bearer``. Source: RFC 6750."""

    type: Literal["bearer"]
    token: Text = Field(description="the token, a secret setting")


class HeaderAuth(SpecVariant):
    """A key in a header."""

    type: Literal["header"]
    name: SentHeaderName = Field(description="the name of the header")
    value: Text = Field(description="its value")


class QueryAuth(SpecVariant):
    """A key in the query of every URL.

    Handles and links are stored without the account's credentials, which are added again to every request with
    credentials. From an address at the origin of ``base_url`` every pair of the query with the ``name`` of the
    credential (or of a session's ``place``) is removed, with any value. If a pair of that name in a link means
    something else, such as a key for one file, use ``send_auth = false``: then it stays, unless its value is the
    account's own.
    """

    type: Literal["query"]
    name: Text = Field(description="the key of every URL's query")
    value: Text = Field(description="its value")


class BodyAuth(SpecVariant):
    """A key in the JSON object or form that is sent, or in the query if the request has no body."""

    type: Literal["body"]
    name: Text = Field(description="the member of the JSON object or form")
    value: Text = Field(description="its value")


def _address_template(value: str) -> str:
    if not value.startswith(("/", "${account.")):
        raise InvalidValueError("must begin with / or with ${account.NAME}, a setting of type url")
    return value


def _algorithm(value: str) -> str:
    if "${" not in value and value not in ASSERTION_ALGORITHMS:
        raise InvalidValueError(f"must be one of {', '.join(ASSERTION_ALGORITHMS)}")
    return value


AddressTemplate: TypeAlias = Annotated[str, AfterValidator(_address_template)]
Algorithm: TypeAlias = Annotated[str, AfterValidator(_algorithm)]
LoginEffect: TypeAlias = Literal["refused", "throttled", "retry"]


class LoginRule(RuleSpec):
    """What a reply to a login means; without a rule, 2xx with a token is success, and 4xx is a refusal."""

    then: LoginEffect | None = None
    words: Words[LoginEffect] = Field(default={})


class RenewRule(ConditionsSpec):
    """The conditions of a reply that says that the token is not valid any more."""

    status: Codes = Field(default=(401,), description="the status code is one of these")


class PlaceSpec(SpecTable):
    """The place of the token: a header, after ``prefix``, or the query."""

    header: SentHeaderName | None = Field(default=None, description="this header ...")
    prefix: str = Field(default="", description="... with this text before the token")
    query: Text | None = Field(default=None, description="or this key of every URL's query")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.header is None) == (self.query is None):
            raise ValueError("needs either header or query")
        if self.prefix and self.header is None:
            raise ValueError("prefix belongs to header")
        return self


BEARER = PlaceSpec(header="Authorization", prefix="Bearer ")
"""The usual place of a token. Source: RFC 6750, section 2.1."""


class LoginSpec(RequestSpec):
    """The request that opens a session, and the place of the token in its reply.

    It may contain secrets, because it is sent to its ``url`` only, which may lead to another origin. No credentials are
    added to it but ``basic``; ``base`` and ``auth`` are not for a login. There is one login at a time, and it counts
    against the limits. The first value of ``expires_at``, ``expires_in`` and ``jwt`` that is present counts.
    """

    method: Literal["GET", "POST", "PUT"] = "POST"
    url: AddressTemplate = Field(description="begins with `/` or with a setting of type `url`")
    token: Picks = Field(min_length=1, description="the place of the token in the reply")
    expires_at: Picks = Field(
        default=(), description="when the token expires, as ISO 8601 with an offset, HTTP-date or epoch seconds"
    )
    expires_in: Picks = Field(default=(), description="in how many seconds the token expires")
    jwt: bool = Field(default=False, description="the token is a JSON Web Token, and its `exp` is the expiry")
    keep: Keep = Field(
        default={},
        description="values of the reply by their names, for later requests: `${login.NAME}`; each must be there",
    )
    basic: BasicSpec | None = Field(default=None, description="HTTP Basic; other secrets of a login are references")
    rules: Items[LoginRule] = Field(
        default=(),
        description="`refused` pauses the account, `throttled` makes it wait, `retry` tries again. Without a "
        "rule a 2xx with a token is success, and a 4xx, or a 2xx with JSON but no token, is "
        "`refused`",
    )

    @model_validator(mode="after")
    def _has_its_own_secrets(self) -> Self:
        if self.base is not None or self.auth is not None:
            raise ValueError("base and auth are not for a login, which has a url and secrets of its own")
        if self.basic is not None and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("basic sets the header Authorization, and headers have one, too: remove one of them")
        return self


class TokenAuth(SpecVariant):
    """A token from a login, renewed before it expires, and when a reply says that it is not valid."""

    lifetime_s: Seconds = Field(
        default=3600.0, description="seconds that a token is valid if it has no expiry in the future"
    )
    renew_ahead_s: float = Field(
        default=60.0, ge=0, description="how many seconds before its expiry a token is renewed"
    )
    renew: Items[RenewRule] = Field(
        default=(RenewRule(),),
        min_length=1,
        description="which reply says that the token is not valid any more; then it is renewed and the "
        "request sent again, once",
    )
    place: PlaceSpec = Field(default=BEARER, description="the place of the token in a request")


class SessionAuth(TokenAuth):
    """A token from the reply to a login request that the spec describes."""

    type: Literal["session"]
    login: LoginSpec = Field(description="the request that opens the session")


_SET_BY_US = frozenset({"exp", "iat", "nbf"})


def _claims(value: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    found = sorted(_SET_BY_US & set(value))
    if found:
        raise InvalidValueError(f"may not have {' and '.join(found)}: lifetime_s says how long a token is valid")
    return value


Claims: TypeAlias = Annotated[Mapping[str, JsonValue], AfterValidator(_claims)]
"""The claims of a JSON Web Token, with templates; ``${key.sha256}`` is the fingerprint of the public key."""


class JwtAuth(TokenAuth):
    """A JSON Web Token that we sign with the account's private key, as the token of every request.

    It is signed anew before it expires, without a login. ``iat`` and ``exp`` are set by Tidewaiter. Source: RFC 7519.
    """

    type: Literal["jwt"]
    key: Text = Field(description="`${account.NAME}` of a setting of type `private_key`, and nothing else")
    algorithm: Algorithm = Field(
        default="RS256", description="`RS`, `PS` or `ES` with `256`, `384` or `512`, or `EdDSA`; may be a setting"
    )
    key_id: Text | None = Field(default=None, description="`kid` in the header")
    claims: Claims = Field(
        min_length=1,
        description="what the token says, with `${account.NAME}`; `${key.sha256}` is the SHA-256 of the public key, "
        "in Base64",
    )
    lifetime_s: float = Field(default=600.0, ge=10, le=3600, description="seconds that a token is valid")


class AssertionSpec(SpecTable):
    """A JSON Web Token, signed with the account's private key. Source: RFC 7523.

    It proves who the client is (section 2.2), or is itself the grant (section 2.1): see ``grant``. ``exp`` and ``jti``
    are set by Tidewaiter.
    """

    key: Text = Field(description="`${account.NAME}` of a setting of type `private_key`, and nothing else")
    algorithm: Algorithm = Field(
        default="RS384", description="`RS`, `PS` or `ES` with `256`, `384` or `512`, or `EdDSA`; may be a setting"
    )
    key_id: Text | None = Field(default=None, description="`kid` in the header")
    audience: Text | None = Field(default=None, description="`aud`; without it the token URL")
    claims: Claims = Field(
        default={},
        description="more claims, with `${account.NAME}`; for `client_credentials` `iss` and `sub` are the client's id "
        "unless they are given here",
    )
    # SMART servers accept at most five minutes; one minute is for clock differences.
    # https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
    lifetime_s: float = Field(default=240.0, gt=0, le=3600, description="seconds that an assertion is valid")

    @model_validator(mode="after")
    def _own_claims(self) -> Self:
        if "aud" in self.claims:
            raise ValueError("claims may not have aud: the key audience says it")
        if "jti" in self.claims:
            raise ValueError("claims may not have jti: each assertion gets a number of its own")
        return self


class OAuth2Auth(TokenAuth):
    """OAuth 2.0: a token from a token endpoint.

    ``grant = "client_credentials"`` proves the client with a secret or a signed assertion (RFC 6749, section 4.4).
    ``grant = "jwt_bearer"`` sends a signed assertion that speaks for a user or a service account (RFC 7523, section
    2.1); its claims need ``iss``. ``grant = "refresh_token"`` sends the refresh token that a person's login gave (RFC
    6749, section 6); a public client has neither secret nor assertion.
    """

    type: Literal["oauth2"]
    grant: Literal["client_credentials", "jwt_bearer", "refresh_token"] = Field(
        default="client_credentials", description="what the token is given for"
    )
    token_url: AddressTemplate = Field(
        description="the token endpoint; begins with `/` or with a setting of type `url`"
    )
    client_id: Text | None = Field(default=None, description="of the client; required unless grant is `jwt_bearer`")
    client_secret: Text | None = Field(default=None, description="its secret: either this ...")
    assertion: AssertionSpec | None = Field(default=None, description="... or a signed assertion")
    refresh_token: Text | None = Field(
        default=None,
        description='for `grant = "refresh_token"`: `${account.NAME}` of a secret setting, and nothing else',
    )
    rotates: bool | None = Field(
        default=None,
        description='for `grant = "refresh_token"`, and required there: whether a reply may have a new refresh token '
        "that replaces the old one; it is stored encrypted, so the account needs `database.key_file`",
    )
    reuse: bool = Field(
        default=False,
        description="whether the provider accepts an old refresh token for some time after it has given a new one; "
        "then an unknown end of a renewal does not pause the account: the old one is sent again",
    )
    send: Literal["basic", "form"] = Field(
        default="basic", description="`client_id` and `client_secret` are sent by HTTP `basic`, or in the `form`"
    )
    scope: Text | None = Field(default=None, description="the scope that is asked for")
    form: Mapping[str, Scalar] = Field(default={}, description="more fields of the form")
    keep: Keep = Field(
        default={},
        description="values of the reply by their names, for later requests: `${login.NAME}`; each must be there",
    )

    @model_validator(mode="after")
    def _has_what_the_grant_needs(self) -> Self:
        if self.grant == "jwt_bearer":
            self._check_jwt_bearer()
        elif self.client_id is None:
            raise ValueError("needs client_id")
        elif not self._has_one_proof():
            raise ValueError("needs either client_secret or assertion")
        if self.client_secret is None and "send" in self.model_fields_set:
            raise ValueError("send is for the client_secret, and there is none")
        return self

    def _has_one_proof(self) -> bool:
        missing = [self.client_secret, self.assertion].count(None)
        return missing == 1 or (missing == 2 and self.grant == "refresh_token")

    def _check_jwt_bearer(self) -> None:
        if self.assertion is None:
            raise ValueError('grant = "jwt_bearer" needs assertion, the signed token that is sent')
        if "iss" not in self.assertion.claims:
            raise ValueError("assertion.claims needs iss, who signs; no client_id takes its place for jwt_bearer")
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("client_secret needs client_id")

    @model_validator(mode="after")
    def _has_a_refresh_token_for_its_grant(self) -> Self:
        if self.grant != "refresh_token":
            given = {"refresh_token", "rotates", "reuse"} & self.model_fields_set
            if given:
                raise ValueError(f'{min(given)} is for grant = "refresh_token"')
            return self
        if self.refresh_token is None:
            raise ValueError('grant = "refresh_token" needs refresh_token = "${account.NAME}"')
        if self.rotates is None:
            raise ValueError(
                'grant = "refresh_token" needs rotates: true if a reply may have a new refresh token that replaces the '
                "old one, false if the old one is good for ever"
            )
        if self.reuse and not self.rotates:
            raise ValueError("reuse is for rotates = true: without a new refresh token there is no old one")
        return self
