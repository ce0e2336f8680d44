"""Sealing: the links and the secret parameters of jobs are encrypted while they are in the database.

A sealed text is ``sealed:1:`` and a Fernet token (https://github.com/fernet/spec). Plain JSON begins with ``[`` or
``{``, so rows of either kind can be read beside each other, whether a key is configured or not.
"""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from tidewaiter.domain.http_values import Link, SealedLinks
from tidewaiter.domain.secret_params import NO_TEXT, SecretParams

_ENVELOPE: Final = "sealed:1:"
_KEY_BYTES: Final = 32
PAGED: Final = "paged:"
_TOTAL: Final = 4
"""What the stored text begins with, if the links themselves are in pages."""


def new_key() -> str:
    """A new key: 32 random bytes in URL-safe Base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


class Seal:
    """Encrypts and decrypts links, which give access to a job's files, and secret parameters.

    Args:
        keys: as :func:`new_key` makes them. The first encrypts, every one decrypts; without one nothing is encrypted.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._fernet = None
        if keys:
            from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415  # needs memory, and few databases use it

            self._fernet = MultiFernet([Fernet(key) for key in keys])

    def __bool__(self) -> bool:
        return self._fernet is not None

    def stored(self, links: Sequence[Link] | SealedLinks) -> str:
        """The stored text of links; links that are already sealed do not change."""
        if isinstance(links, SealedLinks):
            return links.text
        return self.sealed(json.dumps([link.to_json() for link in links])) if links else "[]"

    def sealed(self, text: str) -> str:
        """The stored form of a plain text."""
        return text if self._fernet is None else f"{_ENVELOPE}{self._fernet.encrypt(text.encode()).decode()}"

    def unsealed(self, text: str) -> str | None:
        """The plain text of a stored text; ``None`` if no key decrypts it."""
        if not is_sealed(text):
            return text
        if self._fernet is None or not text.startswith(_ENVELOPE):
            return None
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  # see above

        try:
            return self._fernet.decrypt(text.removeprefix(_ENVELOPE)).decode()
        except (InvalidToken, ValueError):
            return None

    def links(self, sealed: SealedLinks) -> tuple[Link, ...] | None:
        """The links; ``None`` if no key decrypts them."""
        text = self.unsealed(sealed.text)
        return None if text is None else links_of(text)

    def stored_secrets(self, secrets: SecretParams) -> str:
        """The stored text of secret parameters; a text that is stored already does not change."""
        if not secrets.values:
            return secrets.text
        return self.sealed(json.dumps(dict(secrets.values), sort_keys=True))

    def secrets(self, secrets: SecretParams) -> Mapping[str, str] | None:
        """The values of secret parameters by name; ``None`` if no key decrypts them."""
        if secrets.values or secrets.text == NO_TEXT:
            return secrets.values
        text = self.unsealed(secrets.text)
        return None if text is None else json.loads(text)


def is_sealed(text: str) -> bool:
    """Whether a stored text is sealed, and not plain JSON."""
    return not text.startswith(("[", "{"))


def sealed_links(text: str) -> SealedLinks:
    """What a stored text has in place of the links; only the marker of their pages says how many they are."""
    parts = text.split(":") if text.startswith(PAGED) else []
    return SealedLinks(text, int(parts[_TOTAL]) if len(parts) > _TOTAL else None)


def links_of(text: str) -> tuple[Link, ...]:
    """The links of plain JSON."""
    return tuple(Link.from_json(link) for link in json.loads(text))
