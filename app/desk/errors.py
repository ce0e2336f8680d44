"""Why a request is refused."""

from collections.abc import Iterable
from dataclasses import dataclass


class RequestError(Exception):
    """The request cannot be done; the message says why, and what can be done instead."""


class NotFoundError(RequestError):
    """The request names something that does not exist."""


class ConflictError(RequestError):
    """The request cannot be done in the present state; at another time it can."""


@dataclass(frozen=True, slots=True)
class WishFault:
    """What is wrong with one request for a job.

    ``place`` counts the requests from 0. ``member`` is ``account``, ``operation`` or ``params``; of parameters ``path``
    says which, as in ``variants.twitter[0].message``.
    """

    place: int
    member: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class RefusedError(RequestError):
    """Jobs were requested that cannot be made; ``faults`` says what is wrong. Nothing was stored."""

    def __init__(self, faults: Iterable[WishFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))
