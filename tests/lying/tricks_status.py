"""Faults of status: each class of reply, with every form of Retry-After and every kind of error body."""

import json
from email.utils import formatdate
from random import Random

from tests.lying.answers import Answer, Fields, Script
from tests.lying.trick import EVERY, FILES, JSONS, Clarity, Exchange, Play, Trick
from tests.support.virtual_time import START_AT

_BODIES = (
    ("application/json", b'{"error": "the canary is not amused"}'),
    ("text/plain; charset=latin-1", b"na\xefve"),
    ("text/html", b"<html><title>Oops</title></html>"),
    ("application/json", json.dumps({"error": "long " * 4000}).encode()),
    ("application/json", b'{"error": "cut'),
    ("application/json", b'{"error": "nul \\u0000 and \\ud800 alone", "message": null}'),
    ("application/json", b"null"),
    ("application/xml", b"<?xml version='1.0'?><Error><Code>Busy</Code></Error>"),
    ("", b""),
)


def error_body(rand: Random) -> tuple[Fields, bytes]:
    """An error body of one kind: media type and bytes."""
    kind, body = rand.choice(_BODIES)
    return (("Content-Type", kind),) if kind else (), body


def retry_after(rand: Random, now: float, *, sound: bool = False) -> str:
    """A value of Retry-After in one of the forms that servers send, or in one that means something."""
    if sound:
        return rand.choice(("1", "30", "2.5", "0.4", "120", formatdate(now + 20, usegmt=True)))
    forms = ("1", "0", "0.4", "2.5", "30", "-5", "soon", "", "Infinity", "NaN", "99999999999", "1e3", " 7 ")
    dated = (formatdate(now + 20, usegmt=True), formatdate(now - 3600, usegmt=True), str(int(now + 15)), "Fri, 99 Foo")
    return rand.choice((*forms, *dated))


def _status(code: int, *, asks: bool | None = None) -> Play:
    def play(exchange: Exchange) -> Script:
        fields, body = error_body(exchange.rand)
        if asks or (asks is None and exchange.rand.random() < 0.3):
            now = START_AT + exchange.remote.now()
            values = [retry_after(exchange.rand, now, sound=asks is True)]
            if exchange.rand.random() < 0.1:
                values.append("3")
            fields = (*fields, ("Date", formatdate(now, usegmt=True)), *(("Retry-After", value) for value in values))
        said = [value for name, value in fields if name == "Retry-After"]
        return Answer(code, fields, body, note=f"{code}{f' Retry-After {said}' if said else ''}").script()

    return play


def _empty_success(code: int) -> Play:
    def play(exchange: Exchange) -> Script:
        fields: Fields = (("Retry-After", "2"),) if exchange.rand.random() < 0.5 else ()
        body = b"" if code != 202 else exchange.rand.choice((b"", b'{"state": "later"}', b"not yet"))
        return Answer(code, fields, body, note=f"{code}, no file").script()

    return play


def _tricks() -> list[Trick]:
    tricks = [
        Trick(f"status-{code}", EVERY, _status(code), rf"http {code}|{code}", "unclear", runs=runs)
        for code, runs in ((500, 2), (502, 3), (504, 1), (599, 1), (408, 1))
    ]
    for code, asks in ((429, False), (429, True), (503, True)):
        name = f"status-{code}{'-retry-after' if asks else ''}"
        tricks.append(Trick(name, EVERY, _status(code, asks=asks), rf"{code}", "refused", runs=2))
    tricks.append(Trick("status-503", EVERY, _status(503, asks=False), "503", "unclear", runs=2))
    # A person resumes the account; a host that is not the provider's can refuse one file for good.
    file = frozenset({"file"})
    tricks += [Trick(f"status-{code}", EVERY, _status(code), f"{code}", "refused", file) for code in (401, 403)]
    tricks += [
        Trick(f"status-{code}", EVERY, _status(code), f"{code}", "refused", EVERY)
        for code in (400, 405, 409, 418, 422, 451)
    ]
    for code in (404, 410):
        # In the first minute after a submit it is lag; later a fresh submit, once.
        fatal = EVERY - {"file"}
        tricks.append(Trick(f"status-{code}", EVERY, _status(code), f"{code}|gone", "refused", fatal, runs=4))
    tricks += [
        Trick(f"status-{code}", EVERY - {"submit"}, _status(code), f"{code}", "refused", fatal)
        for code, fatal in (
            (412, frozenset({"answer", "start"})),
            (421, frozenset()),
            (423, frozenset()),
            (425, frozenset()),
        )
    ]
    odd: dict[int, Clarity] = {300: "unclear", 304: "unclear", 307: "unclear"}
    tricks += [Trick(f"status-{code}", EVERY, _status(code), f"{code}", clear) for code, clear in odd.items()]
    tricks += [
        Trick(f"no-file-{code}", FILES, _empty_success(code), rf"{code}|not (there|ready)|no file", runs=3)
        for code in (202, 204, 205)
    ]
    tricks.append(Trick("no-answer-204", JSONS | {"page"}, _empty_success(204), "204|no rule|names|empty|json"))
    return tricks


TRICKS = _tricks()
