"""An honest API's replies for what its other mechanisms need: lists in lists, searches, bodies, early files, XML."""

import hashlib
import hmac
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from tests.lying.answers import Answer, Request, json_answer
from tests.support.virtual_time import START_AT

if TYPE_CHECKING:
    from tests.lying.remote import Remote

UPLOAD: Final = b"id\r\n1\r\n\r\n--not-a-boundary\r\n2\r\n"
"""The file that a submit of the shape ``multipart`` sends."""
TEXT: Final = "<ask>\n  <kind>all</kind>\n</ask>"
"""The body that a submit of the shape ``xml`` sends."""
ASKED_OF_POLLS: Final = "state"
ASKED_OF_FILES: Final = "rows"
"""What the bodies of polls and downloads of the shape ``posted`` ask for."""
MADE_BEFORE_S: Final = 600.0
_SIGNED_FOR_S: Final = 300.0
_FOLDERS_A_PAGE: Final = 2


def is_made_before(seed: int) -> bool:
    """Whether the provider of a plan with reuse or duplicates has a remote job from the beginning."""
    return seed % 2 == 0


def is_signed(request: Request, key: str, nonces: set[str], now: float) -> bool:
    """Whether a request has a signature that is right, not old, and whose nonce was not used before."""
    at, nonce = request.fields.get("x-date", ""), request.fields.get("x-nonce", "")
    text = "\n".join((request.method, request.target, at, nonce, hashlib.sha256(request.body).hexdigest()))
    right = hmac.new(key.encode(), text.encode(), "sha256").hexdigest()
    if request.fields.get("authorization") != f"HMAC {right}" or nonce in nonces or not at.isdecimal():
        return False
    nonces.add(nonce)
    return abs(now - int(at)) <= _SIGNED_FOR_S


def fields_of(seed: int, number: int) -> dict[str, str]:
    """The header fields that the download of a file needs, as the list names them."""
    return {"X-File-Key": f"named-{seed}-{number}-secret", "X-File-Version": "7"}


def strayed_fields(remote: "Remote", request: Request) -> list[str]:
    """Named fields of a file that came to another host than that of its link."""
    seen = f"{request.target} {request.fields}"
    keys = {number: fields_of(remote.plan.seed, number)["X-File-Key"] for number in range(len(remote.plan.files))}
    return [key for number, key in keys.items() if key in seen and remote.plan.files[number].foreign != request.foreign]


def refusal_of(remote: "Remote", kind: str, request: Request) -> Answer | None:
    """Why a poll or a download lacks what its shape wants of it; ``None`` if it has it."""
    if remote.plan.shape == "named" and kind.startswith("file"):
        wanted = fields_of(remote.plan.seed, int(kind.removeprefix("file")))
        if any(request.fields.get(name.lower()) != value for name, value in wanted.items()):
            return json_answer({"error": "the fields that the list named are wanted"}, 422)
    if remote.plan.shape == "posted" and kind in ("poll", "file0"):
        wanted = {"ask": ASKED_OF_POLLS if kind == "poll" else ASKED_OF_FILES}
        if request.method != "POST" or json.loads(request.body or b"0") != wanted:
            return json_answer({"error": "the body is another one"}, 422)
    return None


def added(remote: "Remote", request: Request, count: int, *, done: bool) -> dict[str, object]:
    """The part of a poll's reply that lists what is new behind its cursor, of the first ``count`` files."""
    first = int(request.query.get("after") or "0")
    remote.listed = tuple(range(count)) if done else ()
    return {"files": [remote.listed_file(number) for number in range(first, count)], "seen": str(max(first, count))}


def listed(remote: "Remote", kind: str, path: str, request: Request) -> Answer:
    """The reply to a search, or for a list of folders or files."""
    if kind == "search":
        return _search(remote)
    return _folders(remote, request) if kind == "folders" else _folder(remote, path)


def _folders(remote: "Remote", request: Request) -> Answer:
    """One page of the list of folders, each of which has one file."""
    remote.lists += 1
    remote.listed = tuple(range(len(remote.plan.files)))
    first = int(request.query.get("cursor") or "0")
    shown = list(remote.listed[first : first + _FOLDERS_A_PAGE])
    document: dict[str, object] = {"folders": [{"id": f"d{number}"} for number in shown]}
    if first + _FOLDERS_A_PAGE < len(remote.listed):
        document["next"] = str(first + _FOLDERS_A_PAGE)
    return json_answer(document)


def _folder(remote: "Remote", path: str) -> Answer:
    """The files of one folder."""
    name = path.rsplit("/", 1)[-1]
    if name not in {f"d{number}" for number in range(len(remote.plan.files))}:
        return json_answer({"error": "no such folder"}, 404)
    return json_answer({"files": [remote.listed_file(int(name[1:]))]})


def _search(remote: "Remote") -> Answer:
    """The remote jobs that the provider has from before."""
    made_at = START_AT - MADE_BEFORE_S
    row = {"id": "old", "kind": "all", "state": "done", "at": made_at}
    others = [{**row, "id": "other", "kind": "some"}, {**row, "id": "fails", "state": "failed"}]
    return json_answer({"made": [*others, *([row] if is_made_before(remote.plan.seed) else [])]})


def wrong_body(shape: str, request: Request) -> str | None:
    """What is wrong with the body of a submit; ``None`` if nothing is."""
    if shape == "xml":
        return None if request.body == TEXT.encode() else f"the text {request.body!r}"
    if shape != "multipart":
        return None if json.loads(request.body) == {"kind": "all"} else f"the JSON {request.body!r}"
    head = f"Content-Type: {request.fields.get('content-type')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    parts = [
        (part.get_param("name", header="content-disposition"), part.get_filename(), part.get_payload(decode=True))
        for part in message.iter_parts()
    ]
    wanted = [("kind", None, b"all"), ("file", "ask.csv", UPLOAD)]
    return None if parts == wanted else f"the parts {parts!r}"


def in_xml(answer: Answer) -> Answer:
    """A reply of JSON as one of XML."""
    if answer.value("content-type") != "application/json":
        return answer
    body = f"<?xml version='1.0'?>\n{_element('reply', json.loads(answer.body))}"
    return answer.but(body=body.encode()).with_fields(("Content-Type", "application/xml"))


def _element(name: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(key, one) for key, one in value.items())}</{name}>"
    return f"<{name}>{escape(str(value))}</{name}>"
