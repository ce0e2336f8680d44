"""Why the desk does not do what it was asked."""

from collections.abc import Iterable
from dataclasses import dataclass


class RequestError(Exception):
    """What was asked cannot be done; the message is a sentence that says why and what can."""


class NotFoundError(RequestError):
    """It is asked of something that there is not."""


class ConflictError(RequestError):
    """It cannot be done as things stand; it could have been, or may be later."""


@dataclass(frozen=True, slots=True)
class WishFault:
    """What is wrong with one wish for a job.

    ``place`` counts the wishes from 0. ``member`` is ``account``, ``operation`` or ``params``; of parameters ``path``
    says which, as in ``variants.twitter[0].message``.
    """

    place: int
    member: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class RefusedError(RequestError):
    """Jobs were wished for that cannot be made; ``faults`` holds what is wrong, and nothing was stored."""

    def __init__(self, faults: Iterable[WishFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))
