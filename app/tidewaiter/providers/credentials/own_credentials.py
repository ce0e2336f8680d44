"""The account's own credentials in the addresses that a provider names: removed before an address is kept."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote, unquote_plus

from tidewaiter.domain.http_values import Credentials, Link
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.credentials.login_replies import Token, TokenSession
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.providers.values.texts import basic_credential

_SUSPECT: Final = re.compile(r"[?#@]")


_USER_INFO: Final = re.compile(r"(https?://)([^/?#]*)@", re.IGNORECASE)


_SHORTEST_WHOLE: Final = 4
"""A whole value of this length is recognized as a credential."""
_SHORTEST_ALONE: Final = 8
"""A value of this length is recognized as a credential under any name in the query."""


@dataclass(frozen=True, slots=True)
class OwnCredentials:
    """The credentials of an account, as they can occur in an address.

    ``names`` are names in the query. ``values`` are the fixed credentials; ``redactor`` knows the session tokens.
    ``authorizes``: a header ``Authorization`` is sent.
    """

    origins: OwnOrigins = field(default_factory=OwnOrigins)
    names: frozenset[str] = frozenset()
    values: frozenset[str] = field(default=frozenset(), repr=False)
    authorizes: bool = False
    redactor: Redactor = field(default_factory=Redactor, repr=False, compare=False)

    @classmethod
    def of(
        cls, origins: OwnOrigins, fixed: Iterable[Credentials], session: TokenSession | None, redactor: Redactor
    ) -> "OwnCredentials":
        """The fixed credentials of an account, and the place of its session token."""
        placed = Credentials() if session is None else session.credentials(Token("", 0.0, 0.0))
        every = (*fixed, placed)
        headers = {name.lower(): value for one in every for name, value in one.headers.items()}
        pairs = [pair for one in every for pair in (*one.query, *one.body)]
        # A header contains only the credential, or a scheme before it (RFC 9110, section 11.4).
        values = {value for _, value in pairs} | {part for one in headers.values() for part in (one, _last_word(one))}
        signers = [one.signer for one in every if one.signer is not None]
        names = frozenset(name for name, _ in pairs).union(*(one.query_names for one in signers))
        fields = frozenset(headers).union(*(one.header_names for one in signers))
        return cls(origins, names, frozenset(values - {""}), "authorization" in fields, redactor)

    def without(self, address: str) -> str:
        """An address or another handle, without the credentials.

        At the provider's own origin every pair of the query with the name of a credential is removed: a request to the
        address gets ours. In other addresses the value must be that of a credential, too.
        """
        return self._stripped(address, named=True)

    def link(self, link: Link) -> Link:
        """A link without the credentials. If it leads to the provider's own origin, they are sent with its request.

        If the spec says that links are requested without credentials, a pair with the name of a credential and another
        value means something else, and stays.
        """
        url = self._stripped(link.url, named=link.send_auth)
        if url == link.url:
            return link
        return replace(link, url=url, send_auth=link.send_auth or self.origins.has(origin_of(url)))

    def occur_in(self, text: str) -> bool:
        """Whether a text is a credential, or contains one that is long enough to be recognized."""
        return (
            self._is_credential(text, _SHORTEST_WHOLE)
            or self.redactor.has_secret_in(text)
            or any(len(one) >= _SHORTEST_ALONE and one in text for one in self.values)
        )

    def _stripped(self, address: str, *, named: bool) -> str:
        if not _SUSPECT.search(address):
            return address
        origin = origin_of(address)
        before, hash_mark, fragment = self._without_user(address, origin, named=named).partition("#")
        place, query_mark, query = before.partition("?")
        query, fragment = (self._kept(part, origin, named=named) for part in (query, fragment))
        return f"{place}{query_mark if query or before.endswith('?') else ''}{query}" + (
            f"{hash_mark}{fragment}" if fragment or address.endswith("#") else ""
        )

    def _kept(self, pairs: str, origin: str, *, named: bool) -> str:
        return "&".join(pair for pair in pairs.split("&") if not self._is_own(pair, origin, named=named))

    def _is_own(self, pair: str, origin: str, *, named: bool) -> bool:
        name, _, value = pair.partition("=")
        has_name = not self.names.isdisjoint(_read(name))
        if has_name and (self._is_credential(value, 1) or (named and self.origins.has(origin))):
            return True
        return (not origin or self.origins.has(origin)) and self._is_credential(value, _SHORTEST_ALONE)

    def _without_user(self, address: str, origin: str, *, named: bool) -> str:
        """An address without the user name and password before its host, if they are the account's."""
        found = _USER_INFO.match(address)
        if found is None:
            return address
        user, _, password = found[2].partition(":")
        credential = basic_credential(unquote(user), unquote(password))
        is_own = credential in self.values or self._is_credential(password, _SHORTEST_ALONE)
        if is_own or (named and self.authorizes and self.origins.has(origin)):
            return found[1] + address[found.end() :]
        return address

    def _is_credential(self, value: str, shortest: int) -> bool:
        return any(
            len(one) >= shortest and (one in self.values or self.redactor.is_temporary(one)) for one in _read(value)
        )


def _read(text: str) -> Iterator[str]:
    """The readings of a part of a query: a plus is a space or a plus, and a text may be encoded twice."""
    yield (plain := unquote(text))
    yield unquote_plus(text)
    yield unquote(plain)


def _last_word(text: str) -> str:
    return text.rpartition(" ")[2]
