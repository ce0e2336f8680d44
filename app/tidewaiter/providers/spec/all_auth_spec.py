"""All kinds of credentials, one of them or several on the same request."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from tidewaiter.providers.spec.auth_spec import (
    BEARER,
    BasicAuth,
    BearerAuth,
    BodyAuth,
    HeaderAuth,
    JwtAuth,
    NoAuth,
    OAuth2Auth,
    QueryAuth,
    SessionAuth,
    TokenAuth,
)
from tidewaiter.providers.spec.field_types import InvalidValueError, Items, SpecVariant
from tidewaiter.providers.spec.signing_spec import Aws4Auth, HmacAuth

_Fixed: TypeAlias = BasicAuth | BearerAuth | HeaderAuth | QueryAuth | BodyAuth | HmacAuth | Aws4Auth
_Renewed: TypeAlias = SessionAuth | OAuth2Auth | JwtAuth

Credential: TypeAlias = Annotated[_Fixed | _Renewed, Field(discriminator="type")]
"""One kind of credential, alone or beside others."""


class SeveralAuth(SpecVariant):
    """Several credentials on every request, such as a token and the key of the application.

    All of ``of`` apply whose ``when`` holds. At most one of them has a token that is renewed (session, oauth2, jwt).
    """

    type: Literal["several"]
    of: Items[Credential] = Field(description="the credentials, each with its type")

    @model_validator(mode="after")
    def _each_in_a_place_of_its_own(self) -> Self:
        if len(self.of) < 2:
            raise ValueError("of needs two or more credentials; one alone stands in auth itself")
        for number, one in enumerate(self.of):
            for before, other in enumerate(self.of[:number]):
                if _exclude_each_other(one.when, other.when):
                    continue
                if shared := _shared_by(one, other):
                    raise ValueError(f"of[{before}] and of[{number}] both {shared}")
        return self


def _shared_by(one: Credential, other: Credential) -> str | None:
    """What two credentials cannot both have, as the end of a sentence."""
    if isinstance(one, TokenAuth) and isinstance(other, TokenAuth):
        return "have a token that is renewed; only one may"
    if isinstance(one, HmacAuth | Aws4Auth) and isinstance(other, HmacAuth | Aws4Auth):
        return "sign the request; only one may"
    if shared := sorted(_headers_of(one) & _headers_of(other)):
        return f"set the header {'-'.join(word.capitalize() for word in shared[0].split('-'))}"
    return f"set the {_place_of(one)}" if _place_of(one) == _place_of(other) else None


def _headers_of(one: Credential) -> frozenset[str]:
    """The headers of a signature, or of what stands beside one, in lower case."""
    if isinstance(one, HmacAuth):
        return frozenset(name.lower() for name in one.headers)
    if isinstance(one, Aws4Auth):
        return frozenset({"authorization"})
    place = _place_of(one)
    return frozenset({place.removeprefix("header ").lower()}) if place.startswith("header ") else frozenset()


def _exclude_each_other(first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    return any(name in second and second[name] != value for name, value in first.items())


def _place_of(one: Credential) -> str:
    """The place of a credential in a request, for people."""
    if isinstance(one, HmacAuth | Aws4Auth):
        return "signature"
    if isinstance(one, QueryAuth | BodyAuth):
        return f"field {one.name} of the {one.type}"
    if isinstance(one, TokenAuth) and one.place.query is not None:
        return f"field {one.place.query} of the query"
    place = one.place if isinstance(one, TokenAuth) else BEARER
    header = one.name if isinstance(one, HeaderAuth) else place.header or ""
    return f"header {'-'.join(word.capitalize() for word in header.split('-'))}"


Auth: TypeAlias = Annotated[NoAuth | _Fixed | _Renewed | SeveralAuth, Field(discriminator="type")]


def _without_login(auth: SeveralAuth) -> SeveralAuth:
    renewed = [number for number, one in enumerate(auth.of) if isinstance(one, TokenAuth)]
    if renewed:
        raise InvalidValueError(f"of[{renewed[0]}] has a token that is renewed, which only the table auth may have")
    return auth


NamedAuth: TypeAlias = Annotated[
    _Fixed | Annotated[SeveralAuth, AfterValidator(_without_login)], Field(discriminator="type")
]
"""Fixed credentials for requests and origins that name them."""


def parts_of(auth: Auth, key: str) -> Iterator[tuple[str, Auth]]:
    """The credentials of a table ``auth``, each with its key in the spec; usually the table itself."""
    if isinstance(auth, SeveralAuth):
        yield from ((f"{key}.of[{number}]", one) for number, one in enumerate(auth.of))
    else:
        yield key, auth
