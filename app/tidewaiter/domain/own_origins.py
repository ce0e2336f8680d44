"""The origins that belong to a provider: that of its base URL, and those that the spec declares."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

AuthChoice: TypeAlias = bool | str
"""Which credentials a request gets: ``True`` those of the account, ``False`` none, a text those of that name."""

ANY_LABEL: Final = "https://*."
"""The beginning of an origin whose first label is not fixed."""
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class DeclaredOrigin:
    """An origin as ``https://host:port``; with ``*`` as its first label it stands for every host with one label there.

    ``auth`` says which credentials may go there.
    """

    origin: str
    auth: AuthChoice = True

    def has(self, origin: str) -> bool:
        """Whether an origin, written in the same way, is this one."""
        if not self.origin.startswith(ANY_LABEL):
            return origin == self.origin
        label, dot, rest = origin.removeprefix("https://").partition(".")
        same = origin.startswith("https://") and f"{ANY_LABEL}{rest}" == self.origin
        return same and dot != "" and _LABEL.fullmatch(label) is not None


@dataclass(frozen=True, slots=True)
class OwnOrigins:
    """The provider's own origins. ``main`` is that of the base URL, which gets the credentials of the account."""

    main: str = ""
    declared: Sequence[DeclaredOrigin] = ()

    def has(self, origin: str) -> bool:
        """Whether an origin, as ``https://host:port`` in lower case, belongs to the provider."""
        return origin == self.main or (bool(self.declared) and any(one.has(origin) for one in self.declared))

    def auth_for(self, origin: str) -> AuthChoice:
        """Which credentials may go to an origin; a fixed one counts before one with a ``*``."""
        if origin == self.main:
            return True
        fixed_first = sorted(self.declared, key=lambda one: one.origin.startswith(ANY_LABEL))
        return next((one.auth for one in fixed_first if one.has(origin)), False)
