"""How an account authenticates: with keys, passwords, or a session that a login opens."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from tidewaiter.providers.spec.field_types import (
    Codes,
    InvalidValueError,
    Items,
    Picks,
    Scalar,
    SentHeaderName,
    SpecTable,
    SpecVariant,
    Text,
)
from tidewaiter.providers.spec.request_spec import ConditionsSpec, RequestSpec, RuleSpec, Words

Seconds: TypeAlias = Annotated[float, Field(gt=0)]

ASSERTION_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The algorithms of RFC 7518 and RFC 8037 that need no shared secret."""


class NoAuth(SpecVariant):
    """No authentication."""

    type: Literal["none"]


class BasicAuth(SpecVariant):
    """HTTP Basic. Source: RFC 7617."""

    type: Literal["basic"]
    username: Text
    password: Text


class BearerAuth(SpecVariant):
    """A token in ``Authorization: Bearer``. Source: RFC 6750."""

    type: Literal["bearer"]
    token: Text


class HeaderAuth(SpecVariant):
    """A key in a header."""

    type: Literal["header"]
    name: SentHeaderName
    value: Text


class QueryAuth(SpecVariant):
    """A key in the query of every URL."""

    type: Literal["query"]
    name: Text
    value: Text


class BodyAuth(SpecVariant):
    """A key in the JSON object or form that is sent, or in the query if the request has no body."""

    type: Literal["body"]
    name: Text
    value: Text


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

    status: Codes = (401,)


class PlaceSpec(SpecTable):
    """The place of the token: a header, after ``prefix``, or the query."""

    header: SentHeaderName | None = None
    prefix: str = ""
    query: Text | None = None

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

    ``url`` may lead to another origin. No credentials are added to this request. The first value of ``expires_at``,
    ``expires_in`` and ``jwt`` that is present counts.
    """

    method: Literal["GET", "POST", "PUT"] = "POST"
    url: AddressTemplate
    token: Picks = Field(min_length=1)
    expires_at: Picks = Field(default=(), description="ISO 8601 with an offset, an HTTP-date, or epoch seconds")
    expires_in: Picks = Field(default=(), description="seconds")
    jwt: bool = Field(default=False, description="the token is a JSON Web Token, and its exp is the end of its life")
    rules: Items[LoginRule] = ()


class TokenAuth(SpecVariant):
    """A token from a login, renewed before it expires, and when a reply says that it is not valid."""

    lifetime_s: Seconds = Field(default=3600.0, description="of a token without an expiry")
    renew_ahead_s: float = Field(default=60.0, ge=0, description="how long before its expiry a token is renewed")
    renew: Items[RenewRule] = Field(default=(RenewRule(),), min_length=1)


class SessionAuth(TokenAuth):
    """A token from the reply to a login request that the spec describes."""

    type: Literal["session"]
    login: LoginSpec
    place: PlaceSpec = BEARER


class AssertionSpec(SpecTable):
    """A JSON Web Token, signed with the account's private key, instead of a secret. Source: RFC 7523, section 2.2."""

    key: Text = Field(description="${account.NAME} of a setting of type private_key, and nothing else")
    algorithm: Algorithm = Field(default="RS384", description="as JSON Web Algorithms name it")
    key_id: Text | None = Field(default=None, description="kid in the header")
    audience: Text | None = Field(default=None, description="aud; the token URL unless given")
    # SMART servers accept at most five minutes; one minute is for clock differences.
    # https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
    lifetime_s: float = Field(default=240.0, gt=0, le=3600, description="how long an assertion is valid")


class OAuth2Auth(TokenAuth):
    """OAuth 2.0: client credentials (RFC 6749, section 4.4), or a refresh token that a person's login gave (section 6).

    The client proves itself with a secret or with a signed assertion; with ``grant = "refresh_token"`` it may do
    without, as a public client does.
    """

    type: Literal["oauth2"]
    grant: Literal["client_credentials", "refresh_token"] = Field(
        default="client_credentials", description="what the access token is given for"
    )
    token_url: AddressTemplate
    client_id: Text
    client_secret: Text | None = None
    assertion: AssertionSpec | None = None
    send: Literal["basic", "form"] = Field(default="basic", description="the place of client_id and client_secret")
    scope: Text | None = None
    form: Mapping[str, Scalar] = Field(default={}, description="more fields of the form")
    refresh_token: Text | None = Field(
        default=None,
        description='for grant = "refresh_token": ${account.NAME} of a setting with secret = true, and nothing else',
    )
    rotates: bool | None = Field(
        default=None,
        description='for grant = "refresh_token": whether a reply may have a new refresh token that replaces the old '
        "one; it is stored encrypted, so the account needs database.key_file",
    )
    reuse: bool = Field(
        default=False,
        description="whether the provider accepts an old refresh token for some time after it has given a new one; "
        "then an unknown end of a renewal does not pause the account: the old one is sent again",
    )

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if self.client_secret is not None and self.assertion is not None:
            raise ValueError("needs either client_secret or assertion")
        if self.client_secret is None and self.assertion is None and self.grant != "refresh_token":
            raise ValueError("needs either client_secret or assertion")
        if self.client_secret is None and "send" in self.model_fields_set:
            raise ValueError("send is for the client_secret, and there is none")
        return self

    @model_validator(mode="after")
    def _whole_grant(self) -> Self:
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


Auth: TypeAlias = Annotated[
    NoAuth | BasicAuth | BearerAuth | HeaderAuth | QueryAuth | BodyAuth | SessionAuth | OAuth2Auth,
    Field(discriminator="type"),
]
