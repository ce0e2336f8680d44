"""The accounts that a caller may know of."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scope:
    """Some accounts, or all of them where ``accounts`` is ``None``; ``name in scope`` says whether one is in it."""

    accounts: frozenset[str] | None = None

    def __contains__(self, account: object) -> bool:
        return self.accounts is None or account in self.accounts

    @property
    def is_limited(self) -> bool:
        """Whether it excludes some accounts."""
        return self.accounts is not None


EVERY_ACCOUNT: Final = Scope()
