"""Signatures of requests: what a signer needs at the moment of sending, and what it gives."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from tidewaiter.domain.http_values import WireRequest


@dataclass(frozen=True, slots=True)
class MachineKeys:
    """The keys that this machine itself has at a cloud, such as those of an instance's role."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SigningMoment:
    """When a request is signed: ``now`` in epoch seconds, by the machine's wall clock; ``nonce`` is used once.

    ``machine`` are the machine's own keys, for a signer that uses them.
    """

    now: float
    nonce: str
    machine: MachineKeys | None = None


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request with its signature, and the text that was signed; ``""`` for a request that stays unsigned."""

    request: WireRequest
    string_to_sign: str = field(default="", repr=False)


class RequestSigner(Protocol):
    """Signs the requests of an account, each at the moment when it is sent: also after a redirect, and every repeat."""

    @property
    def key(self) -> str:
        """The place of the signature in the spec."""

    @property
    def query_names(self) -> frozenset[str]:
        """The names that it adds to the query."""

    @property
    def header_names(self) -> frozenset[str]:
        """The header fields that it adds, in lower case."""

    @property
    def recent_pairs(self) -> Collection[tuple[str, str]]:
        """The names and values that it added to the query of its last requests."""

    @property
    def uses_machine(self) -> bool:
        """Whether it signs with the keys of the machine."""

    @property
    def signed_at(self) -> float | None:
        """The time in its last signature, in epoch seconds."""

    def sign(self, request: WireRequest, moment: SigningMoment) -> SignedRequest:
        """The request as it is sent. Nothing else may change it afterwards."""
