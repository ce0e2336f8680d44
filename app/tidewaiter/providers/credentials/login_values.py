"""Values of a login's reply that later requests use, such as the address of the instance that has the account.

A request is built before the login that it needs, so a built request has stand-ins in their place. A stand-in is a
name below ``login.invalid``, which no host has (RFC 2606): a request that was never completed reaches nobody.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.providers.values.template import STAND_IN_DOMAIN, stand_in, url_part
from tidewaiter.providers.values.texts import shorten

LONGEST_VALUE: Final = 1024
_ADDRESSES: Final = ("http://", "https://")
_PLAIN_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%!$&'()*+,;=:-]*)*")
"""Without a user name, a query, or anything that two programs could read as different hosts."""


@dataclass(frozen=True, slots=True)
class LoginValues:
    """The values that a login's reply must have, and the requests that need them.

    ``base_url`` is that of the account, with stand-ins; ``origins`` are those that the spec permits.
    """

    names: tuple[str, ...]
    base_url: str
    origins: OwnOrigins

    def fault_of(self, kept: Mapping[str, str]) -> str | None:
        """Why these values cannot be used, as the end of a sentence about the reply; ``None`` if they can.

        A token endpoint that lies could send our token anywhere: the base that it names must be a declared origin.
        """
        for name, value in kept.items():
            if len(value) > LONGEST_VALUE or not value.isprintable() or not value.isascii():
                return f"has a value {name} that is too long, or no plain text"
            if not value.strip("."):
                return f"has a value {name} that cannot be a part of a URL"
        if STAND_IN_DOMAIN not in self.base_url:
            return None
        base = self._base(kept)
        origin = origin_of(base) if _PLAIN_ADDRESS.fullmatch(base) else ""
        if not origin:
            return "names no address of HTTP as the base URL"
        if not any(one.has(origin) for one in self.origins.declared):
            return f"leads to {shorten(origin)}, which the spec does not declare in its origins"
        return None

    @staticmethod
    def needed_by(request: WireRequest) -> bool:
        """Whether a request has stand-ins."""
        return any(STAND_IN_DOMAIN in text for text in (request.url, *request.headers.values()))

    def completed(self, request: WireRequest, kept: Mapping[str, str]) -> WireRequest:
        """The request with the values in place of their stand-ins; those within a URL are percent-encoded.

        A server that is not the provider's could name a link with stand-ins to get the values: its links stay as they
        are.
        """
        if not self.needed_by(request):
            return request
        url = self._from_base(request.url, kept)
        if url == request.url and not self.origins.has(origin_of(url)):
            return request
        headers = {name: _filled(value, kept) for name, value in request.headers.items()}
        return replace(request, url=_filled(url, kept, url_part), headers=headers)

    def _from_base(self, url: str, kept: Mapping[str, str]) -> str:
        """A URL whose base has its values; one that only shares the origin of the base keeps its own path."""
        parts = urlsplit(self.base_url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if STAND_IN_DOMAIN in origin and _begins_with(url, self.base_url):
            return self._base(kept) + url[len(self.base_url) :]
        if STAND_IN_DOMAIN in origin and _begins_with(url, origin):
            real = urlsplit(self._base(kept))
            return f"{real.scheme}://{real.netloc}{url[len(origin) :]}"
        return url

    def _base(self, kept: Mapping[str, str]) -> str:
        for name in self.names:
            start = f"https://{stand_in(name)}"
            if _begins_with(self.base_url, start):
                return kept[name].rstrip("/") + _filled(self.base_url.removeprefix(start), kept, url_part)
        return _filled(self.base_url, kept, url_part)


def secret_values(kept: Mapping[str, str]) -> frozenset[str]:
    """The values that no output shows: all but addresses, because a login's reply may hold more secrets."""
    return frozenset(value for value in kept.values() if not value.startswith(_ADDRESSES))


def _begins_with(url: str, start: str) -> bool:
    return url.startswith(start) and (len(url) == len(start) or url[len(start)] in "/?#")


def _filled(text: str, kept: Mapping[str, str], escape: Callable[[str], str] = str) -> str:
    for name, value in kept.items():
        if stand_in(name) in text:
            text = text.replace(stand_in(name), escape(value))
    return text
