"""Takes secrets out of text: every value that is known to be one, and whatever has the shape of one."""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

REDACTED: Final = "[redacted]"
_SHORTEST_SECRET: Final = 4
_SHORTEST_BASE64: Final = 8
_DEEPEST: Final = 8

# Names that mean a credential wherever they are followed by a value.
_ALWAYS: Final = (
    r"signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential|"
    r"awsaccesskeyid|access_token|refresh_token|id_token|api_?key|client_secret|client_assertion|password"
)
# Names so common that they mean one only in a query.
_IN_QUERY: Final = r"sig|key|token"
_HEADERS: Final = r"(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?(?:[a-z]+-)*(?:token|api-?key)"

_QUERY_VALUE: Final = r"""(=|%3D)(?:(?!%26)[^&\s"<>#])+"""
# The order matters: a quoted value is known by its quotes, a header by its line, before a query is looked for in them.
_SHAPES: Final = (
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://)[^/?#\s\"'<>]*@", re.IGNORECASE), rf"\g<1>{REDACTED}@"),
    (
        re.compile(rf"""(["'](?:{_ALWAYS}|token|secret)["']\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|'[^']*'?)""", re.IGNORECASE),
        rf'\g<1>"{REDACTED}"',
    ),
    (
        re.compile(rf"""(?<![a-z0-9_-])((?:{_HEADERS})["']?\s*:\s*["']?)[^"'\r\n]+""", re.IGNORECASE),
        rf"\g<1>{REDACTED}",
    ),
    (
        re.compile(rf"(?<![a-z0-9_.-])({_ALWAYS}){_QUERY_VALUE}", re.IGNORECASE),
        rf"\g<1>\g<2>{REDACTED}",
    ),
    (
        re.compile(rf"((?:[?&;#]|%3F|%26)(?:{_ALWAYS}|{_IN_QUERY})){_QUERY_VALUE}", re.IGNORECASE),
        rf"\g<1>\g<2>{REDACTED}",
    ),
    (
        re.compile(r"\b(bearer\s+)(?!token\b|authentication\b)[\w.~+/=-]+", re.IGNORECASE),
        rf"\g<1>{REDACTED}",
    ),
    (
        re.compile(r"(/callbacks/)[\w-]{8,}"),
        rf"\g<1>{REDACTED}",
    ),  # quoted by a provider that was given it
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"), REDACTED),  # a JSON Web Token, RFC 7519
)
# What every shape has somewhere: most fields are names, states and numbers, and need not be tried against all of them.
_SUSPECT: Final = re.compile(r"[=:%\s]|eyJ")
_BASIC: Final = re.compile(r"\b(basic\s+)([A-Za-z0-9+/]{4,}={0,2})", re.IGNORECASE)


class Redactor:
    """Knows the secrets of one process. Clean a text before it is shortened: half a secret is not recognised."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._passing: dict[str, frozenset[str]] = {}
        self._known: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Know these values from now on; those shorter than four characters are left out, they are everywhere."""
        self._secrets.update(secrets)
        known = (secret for secret in self._secrets.union(*self._passing.values()) if len(secret) >= _SHORTEST_SECRET)
        forms = {form for secret in known for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def add_passing(self, owner: str, secrets: Iterable[str]) -> None:
        """Know these values until the same owner brings others: the tokens of a session, which come without end."""
        self._passing[owner] = frozenset(secrets)
        self.add(())

    def clean(self, text: str) -> str:
        """The text with every secret replaced by ``[redacted]``; a clean text comes back as it is."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        if not _SUSPECT.search(text):
            return text
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return _BASIC.sub(_without_basic, text)

    def clean_value(self, value: object, depth: int = 0) -> object:
        """A log field with every text in it cleaned; what JSON does not know becomes text first."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.clean(value)
            case bytes():
                return self.clean(value.decode(errors="replace"))
            case Mapping() if depth < _DEEPEST:
                return {self.clean(str(name)): self.clean_value(one, depth + 1) for name, one in value.items()}
            case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
                return [self.clean_value(one, depth + 1) for one in value]
            case _:
                return self.clean(str(value))


def _without_basic(found: re.Match[str]) -> str:
    """``Basic`` followed by credentials, which unlike prose are the Base64 of a text with a colon (RFC 7617)."""
    try:
        is_credential = b":" in base64.b64decode(found[2], validate=True)
    except binascii.Error:
        is_credential = False
    return f"{found[1]}{REDACTED}" if is_credential else found[0]


def _forms(secret: str) -> Iterator[str]:
    """The secret as it was given, and as URLs, JSON, Python, HTML and Basic credentials show it."""
    yield secret
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield html.escape(secret)
    yield from _inside_base64(secret.encode())


def _inside_base64(secret: bytes) -> Iterator[str]:
    """What the Base64 of any text that holds the secret must contain, wherever in it the secret begins."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode().rstrip("=")
        first = (0, 2, 3)[before]
        last = len(encoded) - (1 if (before + len(secret)) % 3 else 0)
        if last - first >= _SHORTEST_BASE64:
            yield encoded[first:last]
