"""Credentials among the members of what is sent: a key that a provider wants in its JSON object or form."""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from app.domain.wire import WireRequest


def with_members(request: WireRequest, members: Sequence[tuple[str, str]]) -> bytes | None:
    """The request's body with these members in it; ``None`` where it has no body that could take them."""
    if not members or request.body is None:
        return None
    kind = _media_type(request.headers)
    if kind == "application/x-www-form-urlencoded":
        pairs = [f"{quote(name, safe='')}={quote(value, safe='')}".encode("ascii") for name, value in members]
        return b"&".join([request.body, *pairs] if request.body else pairs)
    if kind == "application/json" and (document := _object_in(request.body)) is not None:
        return json.dumps({**document, **dict(members)}, separators=(",", ":")).encode("ascii")
    return None


def _media_type(headers: Mapping[str, str]) -> str:
    said = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return said.split(";", 1)[0].strip().lower()


def _object_in(body: bytes) -> dict[str, object] | None:
    document = json.loads(body)
    return document if isinstance(document, dict) else None
