"""The account's own credentials in the addresses that a provider names: they are taken out before one is kept.

A provider that is given a credential in the query often repeats it in the addresses that it answers. Such an address
need not hold it: :mod:`app.transport.client` adds the credentials to every request that goes with them to the
provider's own origin. Without them an address is also the same after a token was renewed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote, unquote_plus

from app.domain.wire import Credentials, Link
from app.log.redact import Redactor
from app.providers.reading import basic_credential
from app.providers.session import Session, Token
from app.providers.urls import origin_of

_SUSPECT: Final = re.compile(r"[?#@]")
_USER: Final = re.compile(r"(https?://)([^/?#]*)@", re.IGNORECASE)
_SHORTEST_ALONE: Final = 8
"""A value of so many characters is known as a credential whatever its name in the query is."""


@dataclass(frozen=True, slots=True)
class OwnCredentials:
    """What proves an account, as it can stand in an address.

    ``names`` are those of the pairs in the query. ``values`` are the credentials that stay; the tokens of sessions are
    known to ``redactor``. ``authorizes`` says that a header ``Authorization`` is sent.
    """

    origin: str = ""
    names: frozenset[str] = frozenset()
    values: frozenset[str] = field(default=frozenset(), repr=False)
    authorizes: bool = False
    redactor: Redactor = field(default_factory=Redactor, repr=False, compare=False)

    @classmethod
    def of(cls, origin: str, credentials: Credentials, session: Session | None, redactor: Redactor) -> "OwnCredentials":
        """Those of an account: what stays, and where the token of its session goes."""
        placed = Credentials() if session is None else session.credentials(Token("", 0.0, 0.0))
        every = (credentials, placed)
        headers = {name.lower(): value for one in every for name, value in one.headers.items()}
        pairs = [pair for one in every for pair in (*one.query, *one.body)]
        # A header holds the credential alone, or after the name of a scheme (RFC 9110, section 11.4).
        values = {value for _, value in pairs} | {part for one in headers.values() for part in (one, _last_word(one))}
        names = frozenset(name for name, _ in pairs)
        return cls(origin, names, frozenset(values - {""}), "authorization" in headers, redactor)

    def without(self, address: str) -> str:
        """An address, or another name of a remote job, that is asked for with credentials, without them.

        At the provider's own origin every pair of the query goes that has the name of a credential: when the address
        is asked for, ours takes its place. Elsewhere only what has the value of a credential as well.
        """
        return self._stripped(address, named=True)

    def link(self, link: Link) -> Link:
        """A link without the credentials; they are sent with it, then, where it leads to the provider's own origin.

        Where the spec says that a link is asked for without credentials, what has the name of one and another value
        means something else, and stays.
        """
        url = self._stripped(link.url, named=link.send_auth)
        if url == link.url:
            return link
        return replace(link, url=url, send_auth=link.send_auth or origin_of(url) == self.origin)

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
        if has_name and (self._is_credential(value, 1) or (named and origin == self.origin)):
            return True
        return origin in ("", self.origin) and self._is_credential(value, _SHORTEST_ALONE)

    def _without_user(self, address: str, origin: str, *, named: bool) -> str:
        """An address without the user name and password before its host, where they are the account's."""
        found = _USER.match(address)
        if found is None:
            return address
        user, _, password = found[2].partition(":")
        credential = basic_credential(unquote(user), unquote(password))
        is_own = credential in self.values or self._is_credential(password, _SHORTEST_ALONE)
        if is_own or (named and self.authorizes and origin == self.origin):
            return found[1] + address[found.end() :]
        return address

    def _is_credential(self, value: str, shortest: int) -> bool:
        return any(
            len(one) >= shortest and (one in self.values or self.redactor.is_passing(one)) for one in _read(value)
        )


def _read(text: str) -> Iterator[str]:
    """What a part of a query may mean: a plus is a blank or a plus, and an encoding may be encoded once more."""
    yield (plain := unquote(text))
    yield unquote_plus(text)
    yield unquote(plain)


def _last_word(text: str) -> str:
    return text.rpartition(" ")[2]
