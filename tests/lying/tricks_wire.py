"""Faults of the connection and of the message around the body: cuts, resets, silence, lengths, odd header fields."""

from tests.lying.answers import Answer, Script, chunked
from tests.lying.plan import FilePlan, Plan
from tests.lying.trick import EVERY, Exchange, Play, Trick, announced

_BROKEN = "broke|lost|ended|reset|closed|disconnect|cut|short|before|unclear|unknown|reply|breaks|connection|no answer"


def _cut_at_start(exchange: Exchange) -> Script:
    end = exchange.rand.choice(("close", "reset"))
    return Script((), end, "nothing")  # type: ignore[arg-type]  # one of the two


def _cut_in_head(exchange: Exchange) -> Script:
    head = exchange.answer.head
    at = exchange.rand.choice((4, head.index(b"\r\n"), head.index(b"\r\n") + 2, len(head) // 2, len(head) - 2))
    return Script((head[:at],), "reset" if exchange.rand.random() < 0.5 else "close", f"{at} bytes of the head")


def _cut_in_body(exchange: Exchange) -> Script:
    """With a length or in chunks; never where the end of the connection is the end of the body."""
    rand, answer = exchange.rand, exchange.answer
    answer = answer.but(framing="chunked") if rand.random() < 0.4 else answer
    if not answer.body or answer.status in (204, 205, 304):
        return _cut_in_head(exchange)
    payload = answer.payload
    at = rand.choice((0, 1, len(payload) // 2, len(payload) - 1, rand.randrange(len(payload))))
    end = "reset" if rand.random() < 0.4 else "close"
    note = f"{answer.status}, {at} of {len(payload)} bytes, {answer.framing}"
    return Script((answer.head + payload[:at],), "reset" if end == "reset" else "close", note)


def _no_last_chunk(exchange: Exchange) -> Script:
    answer = exchange.answer.but(framing="chunked")
    if answer.status in (204, 205, 304):
        return _cut_in_head(exchange)
    return Script((answer.head + chunked(answer.body, last=False),), "close", f"{answer.status} without the last chunk")


def _bad_chunk(exchange: Exchange) -> Script:
    answer = exchange.answer.but(framing="chunked")
    return Script((answer.head + b"zz\r\n" + answer.body + b"\r\n0\r\n\r\n",), "close", "a chunk of zz bytes")


def _silence(exchange: Exchange) -> Script:
    """Nothing more comes for longer than anybody waits."""
    script = exchange.answer.script()
    data = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
    at = exchange.rand.choice((0, len(exchange.answer.head), max(0, len(data) - 1)))
    return Script((data[:at], 3000.0), "close", f"{at} of {len(data)} bytes, then silence")


def _trickle(exchange: Exchange) -> Script:
    """One byte at a time, for so long as that takes less than a timeout; then the rest."""
    script = exchange.answer.script()
    data = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
    pieces: list[bytes | float] = []
    for at in range(min(len(data), 60)):
        pieces += [data[at : at + 1], 0.01]
    return Script((*pieces, data[60:]), script.end, f"{script.note}, byte by byte")


def _split(exchange: Exchange) -> Script:
    script = exchange.answer.script()
    data = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
    cuts = sorted(exchange.rand.randrange(len(data) + 1) for _ in range(5))
    pieces: list[bytes | float] = []
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        pieces += [data[start:stop], 0.05]
    return Script(tuple(pieces), script.end, f"{script.note}, in pieces")


def _interim(exchange: Exchange) -> Script:
    before = exchange.rand.choice(
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
            b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
            b"HTTP/1.1 100 Continue\r\n\r\n",
        )
    )
    return exchange.answer.but(
        before=before, note=f"1xx, then {exchange.answer.note or exchange.answer.status}"
    ).script()


def _odd_fields(exchange: Exchange) -> Script:
    """Field names in other case, blanks around values, empty and unknown fields, an empty reason phrase."""
    rand, answer = exchange.rand, exchange.answer
    change = rand.choice((str.upper, str.lower, str.swapcase))
    fields = [(change(name), f"  {value}\t ") for name, value in answer.fields]
    fields += [("X-Empty", ""), ("X-Twice", "1"), ("x-twice", "2"), ("X-Latin", "caf\udce9")]
    rand.shuffle(fields)
    return answer.but(fields=tuple(fields), phrase=rand.choice(("", "OK", "Tout va bien"))).script()


def _many_fields(exchange: Exchange) -> Script:
    count = exchange.rand.choice((90, 120, 300))
    fields = (*exchange.answer.fields, *((f"X-Field-{number}", "x") for number in range(count)))
    return exchange.answer.but(fields=fields, note=f"{exchange.answer.status} with {count} fields").script()


def _folded(exchange: Exchange) -> Script:
    """A line folding, which RFC 9112, section 5.2, lets a client replace by a blank or refuse."""
    fields = (*exchange.answer.fields, ("X-Folded", "one\r\n two"))
    return exchange.answer.but(fields=fields, note=f"{exchange.answer.status} with a folded field").script()


def _length(change: int) -> Play:
    def play(exchange: Exchange) -> Script:
        answer = exchange.answer
        told = max(0, len(answer.body) + change)
        lying = answer.but(framing="none").with_fields(("Content-Length", str(told)))
        return Script(
            (lying.head + answer.payload,), "close", f"{answer.status}, {len(answer.body)} bytes told as {told}"
        )

    return play


def _odd_length(exchange: Exchange) -> Script:
    answer = exchange.answer.but(framing="none")
    size = len(answer.body)
    fields = exchange.rand.choice(
        (
            (("Content-Length", str(size)), ("Content-Length", str(size + 1))),
            (("Content-Length", "many"),),
            (("Content-Length", "-1"),),
        )
    )
    lying = answer.but(fields=(*answer.fields, *fields))
    return Script((lying.head + lying.payload,), "close", f"{answer.status}, lengths {[value for _, value in fields]}")


def _framing(framing: str) -> Play:
    def play(exchange: Exchange) -> Script:
        answer: Answer = exchange.answer.but(framing=framing)
        return answer.but(note=f"{answer.note or answer.status}, {framing}").script()

    return play


def _garbage(exchange: Exchange) -> Script:
    data = exchange.rand.choice(
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/9.9 200 OK\r\n\r\n")
    )
    return Script((data,), "close", f"{data!r}")


def _json_or_announced(plan: Plan, file: FilePlan | None) -> bool:
    return file is None or announced(plan, file)


TRICKS = [
    Trick("cut-at-start", EVERY, _cut_at_start, _BROKEN, runs=2),
    Trick("cut-in-head", EVERY, _cut_in_head, _BROKEN),
    Trick("cut-in-body", EVERY, _cut_in_body, _BROKEN, runs=3),
    Trick("cut-no-last-chunk", EVERY, _no_last_chunk, _BROKEN),
    Trick("bad-chunk", EVERY, _bad_chunk, f"{_BROKEN}|chunk|http|not"),
    Trick("silence", EVERY, _silence, f"{_BROKEN}|time|silen|slow|trickle| s"),
    Trick("trickle", EVERY, _trickle, "-", "harmless"),
    Trick("in-pieces", EVERY, _split, "-", "harmless"),
    Trick("interim-replies", EVERY, _interim, "-", "harmless"),
    Trick("odd-fields", EVERY, _odd_fields, "-", "harmless"),
    Trick("many-fields", EVERY, _many_fields, "field|header|http", "maybe"),
    Trick("folded-field", EVERY, _folded, "field|header|http|fold", "maybe"),
    Trick("length-too-long", EVERY, _length(7), _BROKEN),
    Trick(
        "length-too-short",
        EVERY - {"inline", "answer", "page"},
        _length(-5),
        f"{_BROKEN}|json|size|sha|md5|announced",
        fits=_json_or_announced,
    ),
    Trick("odd-length", EVERY, _odd_length, f"{_BROKEN}|length|http", "maybe"),
    Trick("in-chunks", EVERY, _framing("chunked"), "-", "harmless"),
    Trick("until-close", EVERY, _framing("close"), "-", "harmless"),
    Trick("no-http", EVERY, _garbage, f"{_BROKEN}|http"),
]
