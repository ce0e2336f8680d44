"""Styles and scripts: files named by their content, so that browsers may cache them for ever."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from aiohttp import hdrs, web

from app.web.access import STATIC

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_KEEP: Final = "public, max-age=31536000, immutable"
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes
    media_type: str
    tag: str


class Assets:
    """The files of the folder ``static``, at addresses that change with their content."""

    def __init__(self) -> None:
        self._by_address: dict[str, _File] = {}
        self._addresses: dict[str, str] = {}
        for one in sorted(files(__package__).joinpath("static").iterdir(), key=lambda path: path.name):
            stem, _, ending = one.name.rpartition(".")
            if ending not in _TYPES:
                continue
            body = one.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:_DIGITS]
            address = f"{STATIC}{stem}.{tag}.{ending}"
            self._addresses[one.name] = address
            self._by_address[address] = _File(body, gzip.compress(body, mtime=0), _TYPES[ending], tag)

    @property
    def addresses(self) -> Mapping[str, str]:
        """The address of each file, by its name."""
        return self._addresses

    def routes(self) -> list[web.RouteDef]:
        """The route that serves them."""
        return [web.get(f"{STATIC}{{name}}", self._serve, allow_head=True)]

    async def _serve(self, request: web.Request) -> web.Response:
        found = self._by_address.get(request.path)
        if found is None:
            raise web.HTTPNotFound(text="there is no such file; load the page again for the new address")
        kept = {hdrs.CACHE_CONTROL: _KEEP, hdrs.ETAG: f'"{found.tag}"', hdrs.VARY: hdrs.ACCEPT_ENCODING}
        if any(tag.value == found.tag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=kept)
        body = found.body
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            body = found.packed
            kept[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=kept, content_type=found.media_type, charset="utf-8")
