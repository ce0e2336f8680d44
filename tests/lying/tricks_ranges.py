"""Faults of ranges: whatever is wrong with the rest of a file, and rests that nobody asked for."""

from collections.abc import Callable

from tests.lying.answers import Answer, Script
from tests.lying.files import start_of, stored_of
from tests.lying.trick import Exchange, Play, Trick

Lie = Callable[[Exchange, bytes, int], Answer]

_FILE = frozenset({"file"})


def _to_a_range(lie: Lie) -> Play:
    """Where no range was asked for the honest answer is broken off, so that the next request asks for one."""

    def play(exchange: Exchange) -> Script:
        remote, number = exchange.remote, exchange.number
        data = stored_of(remote.plan, number, remote.versions[number])
        start = start_of(exchange.request)
        if start is None or exchange.answer.status != 206:
            answer = exchange.answer
            return Script(
                (answer.head + answer.payload[: len(answer.body) // 2],), "close", f"{answer.note}, half of it"
            )
        return lie(exchange, data, start).script()

    return play


def _part(
    exchange: Exchange, content_range: str | None, body: bytes, *, status: int = 206, tag: str | None = ""
) -> Answer:
    answer = exchange.answer.without("content-range").but(status=status, body=body, note=f"{status}, {content_range}")
    if content_range is not None:
        answer = answer.with_fields(("Content-Range", content_range))
    if tag is None:
        return answer.without("etag")
    return answer.with_fields(("ETag", tag)) if tag else answer


def _told(first: int, body: bytes, total: object) -> str:
    return f"bytes {first}-{first + len(body) - 1}/{total}"


def _is_size_told(exchange: Exchange) -> bool:
    """Whether an earlier reply has told the size of the whole file: else a client has to believe the next one."""
    return exchange.remote.told.get(exchange.kind, False)


def _shorter(exchange: Exchange, data: bytes, start: int) -> Answer:
    body = data[start : start + max(1, (len(data) - start) // 2)]
    # Of a file whose size nobody has told, "*" and the end of the part is all that there is to know.
    total = exchange.rand.choice((len(data), "*")) if _is_size_told(exchange) else len(data)
    return _part(exchange, _told(start, body, total), body)


def _later(exchange: Exchange, data: bytes, start: int) -> Answer:
    first = min(len(data) - 1, start + exchange.rand.choice((1, 7)))
    return _part(exchange, _told(first, data[first:], len(data)), data[first:])


def _overlapping(exchange: Exchange, data: bytes, start: int) -> Answer:
    first = max(0, start - exchange.rand.choice((1, 7, start)))
    return _part(exchange, _told(first, data[first:], len(data)), data[first:])


def _other_tag(exchange: Exchange, data: bytes, start: int) -> Answer:
    other = bytes(byte ^ 1 for byte in data[start:])
    return _part(exchange, _told(start, other, len(data)), other, tag='"another"')


def _no_tag(exchange: Exchange, data: bytes, start: int) -> Answer:
    return _part(exchange, _told(start, data[start:], len(data)), data[start:], tag=None)


def _no_range_field(exchange: Exchange, data: bytes, start: int) -> Answer:
    body = exchange.rand.choice((data[start:], data[: len(data) - start], data))
    return _part(exchange, None, body)


def _odd_range_field(exchange: Exchange, data: bytes, start: int) -> Answer:
    body = data[start + 1 :]
    last, total = len(data) - 1, len(data)
    odd = (
        "bytes", "", f"bytes {start}", f"bytes={start}-{last}/{total}x", f"lines {start}-{last}/{total}",
        f"bytes {last}-{start}/{total}", f"bytes {start}-{last}/{start}", "bytes */*", f"bytes -{last}/{total}",
    )  # fmt: skip
    return _part(exchange, exchange.rand.choice(odd), body)


def _two_range_fields(exchange: Exchange, data: bytes, start: int) -> Answer:
    answer = _part(exchange, None, data[start + 1 :])
    content_range = (_told(start, data[start:], len(data)), _told(start + 1, data[start + 1 :], len(data)))
    return answer.but(
        fields=(*answer.fields, *(("Content-Range", one) for one in content_range)), note=f"206, {content_range}"
    )


def _other_total(exchange: Exchange, data: bytes, start: int) -> Answer:
    """The total of another file, whose bytes they are; only where it is known what the total has to be."""
    if not _is_size_told(exchange):
        return _unknown_total(exchange, data, start)
    other = bytes(byte ^ 1 for byte in data[start:]) + b"more"
    return _part(exchange, _told(start, other, len(data) + 4 + start % 3), other)


def _unknown_total(exchange: Exchange, data: bytes, start: int) -> Answer:
    return _part(exchange, _told(start, data[start:], "*"), data[start:])


def _other_case(exchange: Exchange, data: bytes, start: int) -> Answer:
    unit = exchange.rand.choice(("Bytes", "BYTES", "bYtEs"))
    return _part(exchange, _told(start, data[start:], len(data)).replace("bytes", unit), data[start:])


def _multipart(exchange: Exchange, data: bytes, start: int) -> Answer:
    content_range = _told(start, data[start:], len(data))
    head = f"--SEP\r\nContent-Type: text/csv\r\nContent-Range: {content_range}\r\n\r\n".encode()
    answer = _part(exchange, None, head + data[start:] + b"\r\n--SEP--\r\n")
    return answer.with_fields(("Content-Type", "multipart/byteranges; boundary=SEP")).but(
        note="206, multipart/byteranges"
    )


def _whole_with_range(exchange: Exchange, data: bytes, start: int) -> Answer:
    """A 200 whose Content-Range names a part, which is what comes."""
    return _part(exchange, _told(start, data[start:], len(data)), data[start:], status=200)


def _ignored(exchange: Exchange, data: bytes, start: int) -> Answer:
    return _part(exchange, None, data, status=200)


def _not_satisfiable(content_range: Callable[[int, int], str | None]) -> Lie:
    def lie(exchange: Exchange, data: bytes, start: int) -> Answer:
        value = content_range(len(data), start if _is_size_told(exchange) else len(data))
        return Answer(416, () if value is None else (("Content-Range", value),), b"", note=f"416, {value}")

    return lie


def _coded_rest(exchange: Exchange, data: bytes, start: int) -> Answer:
    answer = _part(exchange, _told(start, data[start:], len(data)), data[start:])
    return answer.with_fields(("Content-Encoding", exchange.rand.choice(("gzip", "br"))))


def _unasked(exchange: Exchange) -> Script:
    """A 206 to a request without Range: a slice, or the whole called one."""
    number = exchange.number
    data = stored_of(exchange.remote.plan, number, exchange.remote.versions[number])
    start = exchange.rand.choice((0, 0, len(data) // 2))
    body = data[start:] if exchange.rand.random() < 0.5 else data[start : start + max(1, len(data) // 3)]
    content_range = exchange.rand.choice((_told(start, body, len(data)), _told(start, body, "*"), None))
    if not data:
        return exchange.answer.script()
    return _part(exchange, content_range, body).script()


def _slice_as_whole(exchange: Exchange) -> Script:
    """A 200 that carries Content-Range, to a request without Range."""
    number = exchange.number
    data = stored_of(exchange.remote.plan, number, exchange.remote.versions[number])
    if len(data) < 2:
        return exchange.answer.script()
    body = data[: len(data) // 2]
    return _part(exchange, _told(0, body, len(data)), body, status=200).script()


def _unasked_416(exchange: Exchange) -> Script:
    number = exchange.number
    data = stored_of(exchange.remote.plan, number, exchange.remote.versions[number])
    return Answer(416, (("Content-Range", f"bytes */{len(data)}"),), b"", note="416, unasked").script()


_RANGE = "range|part|rest|starting over|slice|ended|entity|etag|total|packed|coding|html|breaks|206|416|200"
_LIES: dict[str, Lie] = {
    "shorter": _shorter,
    "later": _later,
    "overlapping": _overlapping,
    "other-tag": _other_tag,
    "no-tag": _no_tag,
    "no-field": _no_range_field,
    "odd-field": _odd_range_field,
    "two-fields": _two_range_fields,
    "other-total": _other_total,
    "unknown-total": _unknown_total,
    "other-case": _other_case,
    "multipart": _multipart,
    "whole-with-range": _whole_with_range,
    "ignored": _ignored,
    "416-same-total": _not_satisfiable(lambda _total, start: f"bytes */{start}"),
    "416-total": _not_satisfiable(lambda total, _start: f"bytes */{total}"),
    "416-bare": _not_satisfiable(lambda _total, _start: None),
    "coded": _coded_rest,
}

TRICKS = [Trick(f"range-{name}", _FILE, _to_a_range(lie), _RANGE) for name, lie in _LIES.items()]
TRICKS += [
    Trick("unasked-206", _FILE, _unasked, _RANGE, runs=2),
    Trick("slice-as-200", _FILE, _slice_as_whole, _RANGE, fatal=_FILE, runs=2),
    Trick("unasked-416", _FILE, _unasked_416, _RANGE, runs=2),
]
