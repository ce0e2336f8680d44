"""Assertions: short-lived JSON Web Tokens by which an account proves that it has a private key."""

from dataclasses import dataclass, field
from typing import Any

from app.providers.spec.auth import ASSERTION_ALGORITHMS


class UnusableKeyError(Exception):
    """A private key cannot be read, or does not fit the algorithm; the message ends a sentence that names it."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs assertions of one client. Source: RFC 7523, section 3."""

    client_id: str
    audience: str
    algorithm: str
    key_id: str | None
    lasts_s: float
    key: Any = field(repr=False)

    @classmethod
    def make(
        cls, *, client_id: str, audience: str, algorithm: str, key_id: str | None, key: str, lasts_s: float
    ) -> "Signer":
        """A signer whose key and algorithm are known to go together.

        Args:
            client_id: who is proved.
            audience: the server that checks it.
            algorithm: one of ``ASSERTION_ALGORITHMS``.
            key_id: which of the client's keys it is.
            key: the private key, as PEM or as JSON Web Key.
            lasts_s: seconds that an assertion holds.

        Raises:
            UnusableKeyError: it cannot sign.
        """
        if algorithm not in ASSERTION_ALGORITHMS:
            raise UnusableKeyError(f"{algorithm!r} is none of the algorithms {', '.join(ASSERTION_ALGORITHMS)}")
        signer = cls(client_id, audience, algorithm, key_id, lasts_s, _loaded(key, algorithm))
        try:
            signer.sign(0.0, "trial")
        except Exception:  # noqa: BLE001  # the library raises what its backend does; a key may be anything
            raise UnusableKeyError(f"is no private key for {algorithm}") from None
        return signer

    def sign(self, now: float, nonce: str) -> str:
        """An assertion that begins to hold at ``now`` (epoch seconds); ``nonce`` makes it the only one of its kind."""
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": nonce,
            "exp": int(now + self.lasts_s),
        }
        headers = {} if self.key_id is None else {"kid": self.key_id}
        return str(_jwt().encode(claims, self.key, algorithm=self.algorithm, headers=headers))


def _loaded(key: str, algorithm: str) -> Any:
    """The key as the library wants it; a PEM stays text."""
    text = key.strip()
    if not text.startswith("{"):
        return text
    try:
        return _jwt().PyJWK.from_json(text, algorithm).key
    except Exception:  # noqa: BLE001  # as above
        raise UnusableKeyError(f"is no JSON Web Key for {algorithm}") from None


def _jwt() -> Any:
    # Few accounts sign, and cryptography takes 8 MB and 50 ms.
    import jwt  # noqa: PLC0415

    return jwt
