"""The bodies of responses about providers."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from tidewaiter.web.api.body_schemas import Outgoing


class OperationShape(Outgoing):
    """An operation of a provider."""

    title: str
    parameters: Annotated[dict[str, Any], Field(description="the JSON Schema (2020-12) of `params`")]


Verified: TypeAlias = Annotated[
    Literal["documentation", "emulator", "server"] | None,
    Field(description="how its spec was verified; null: not said"),
]


class ProviderShape(Outgoing):
    """A remote API with its operations."""

    name: str
    title: str
    documentation: list[str]
    verified: Verified
    operations: dict[str, OperationShape]


class ProviderLine(Outgoing):
    """A remote API in short form."""

    name: str
    title: str
    verified: Verified
    operations: list[str]
    accounts: Annotated[list[str], Field(description="the accounts that are configured for it")]
    location: str


class ProvidersShape(Outgoing):
    """The known remote APIs, by name."""

    providers: list[ProviderLine]
