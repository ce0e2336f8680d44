"""JSON Web Tokens that an account signs with its private key: for a login, or as the token of its requests."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.spec.auth_spec import ASSERTION_ALGORITHMS


class UnusableKeyError(Exception):
    """A private key cannot be read, or is not for the algorithm; the message completes a sentence about it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that was tried with its algorithm. ``key_id`` says which of the account's keys it is."""

    algorithm: str
    key_id: str | None
    sha256: str
    """The SHA-256 of the public key (DER, SubjectPublicKeyInfo), in Base64."""
    _key: Any = field(repr=False)

    @classmethod
    def load(cls, text: str, algorithm: str, key_id: str | None) -> "SigningKey":
        """A key that can sign.

        Args:
            text: the private key, as PEM or as JSON Web Key.
            algorithm: one of ``ASSERTION_ALGORITHMS``.
            key_id: which of the account's keys it is.

        Raises:
            UnusableKeyError: it cannot sign.
        """
        if algorithm not in ASSERTION_ALGORITHMS:
            raise UnusableKeyError(f"{algorithm!r} is none of the algorithms {', '.join(ASSERTION_ALGORITHMS)}")
        loaded = _loaded(text.strip(), algorithm)
        try:
            key = cls(algorithm, key_id, _public_sha256(loaded), loaded)
            key.signed({})
        except Exception:  # noqa: BLE001  # the library passes on any exception of its backend
            raise UnusableKeyError(f"is no private key for {algorithm}") from None
        return key

    def signed(self, claims: Mapping[str, Json]) -> str:
        """A token with these claims. Source: RFC 7519."""
        headers = {} if self.key_id is None else {"kid": self.key_id}
        return str(_jwt().encode(dict(claims), self._key, algorithm=self.algorithm, headers=headers))


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """Signs tokens with the same claims, each for its own moment.

    ``dated``: a token says when it was made (``iat``). ``numbered``: it has a number of its own (``jti``).
    """

    key: SigningKey = field(repr=False)
    claims: Mapping[str, Json]
    lasts_s: float
    dated: bool
    numbered: bool

    def sign(self, now: float, nonce: str) -> str:
        """A token that is valid from ``now`` on (epoch seconds); ``nonce`` makes it unique."""
        made = {"iat": int(now)} if self.dated else {}
        number = {"jti": nonce} if self.numbered else {}
        return self.key.signed({**self.claims, **number, **made, "exp": int(now + self.lasts_s)})


def secrets_in(token: str) -> frozenset[str]:
    """What no output may show of a signed token: the whole, and the signature."""
    return frozenset({token, token.rpartition(".")[2]})


def claims_of(token: str) -> Mapping[str, Json]:
    """The claims of a token that was signed here."""
    claims: Mapping[str, Json] = _jwt().decode(token, options={"verify_signature": False})
    return claims


def _loaded(text: str, algorithm: str) -> Any:
    if not text.startswith("{"):
        if "ENCRYPTED" in text.partition("\n\n")[0]:
            raise UnusableKeyError("is encrypted: store it without a passphrase, such as by openssl pkey -in KEY")
        try:
            return _jwt().get_algorithm_by_name(algorithm).prepare_key(text)
        except Exception:  # noqa: BLE001  # as above
            raise UnusableKeyError(f"is no private key for {algorithm}") from None
    try:
        return _jwt().PyJWK.from_json(text, algorithm).key
    except Exception:  # noqa: BLE001  # as above
        raise UnusableKeyError(f"is no JSON Web Key for {algorithm}") from None


def _public_sha256(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415  # as in _jwt

    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(public).digest()).decode("ascii")


def _jwt() -> Any:
    # Imported late: few accounts sign, and cryptography needs 8 MB and 50 ms.
    import jwt  # noqa: PLC0415

    return jwt
