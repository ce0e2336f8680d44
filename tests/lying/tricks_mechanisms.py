"""Faults of the other mechanisms: XML, kept values, logins, lists in lists, searches, failures for now, and limits."""

import json
from collections.abc import Sequence

from tests.lying.answers import Answer, Fields, Script, json_answer
from tests.lying.plan import FilePlan, Plan
from tests.lying.trick import EVERY, Exchange, Fits, Play, Trick
from tests.support.virtual_time import START_AT

# --- XML --------------------------------------------------------------------------------------------------------------

_DEEP = "<reply>" + "<a>" * 5000 + "</a>" * 5000 + "</reply>"
_LAUGHS = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 9))
_XML = (
    "<!DOCTYPE reply><reply><state>done</state></reply>",
    '<!DOCTYPE reply [<!ENTITY x SYSTEM "file:///etc/hostname">]><reply><state>&x;</state></reply>',
    '<!DOCTYPE reply SYSTEM "http://127.0.0.1:1/reply.dtd"><reply/>',
    f'<!DOCTYPE reply [<!ENTITY l0 "ha">{_LAUGHS}]><reply><state>&l8;</state></reply>',
    "<reply><state>done</state>",
    "<reply><state>done</reply></state>",
    "<reply a='1' a='2'/>",
    "<reply/><reply/>",
    "<reply>\x01</reply>",
    "<reply>&nbsp;</reply>",
    "",
)


def _bad_xml(exchange: Exchange) -> Script:
    body = exchange.rand.choice(_XML)
    return exchange.answer.but(body=body.encode(), note=f"200, XML {body[:40]!r}").script()


def _deep_xml(exchange: Exchange) -> Script:
    return exchange.answer.but(body=_DEEP.encode(), note="200, XML that is 5000 deep").script()


def _other_xml(exchange: Exchange) -> Script:
    """The same reply in another encoding, with a mark, comments and instructions."""
    text = exchange.answer.body.decode().removeprefix("<?xml version='1.0'?>\n")
    body = exchange.rand.choice(
        (
            f"<?xml version='1.0' encoding='UTF-16'?>{text}".encode("utf-16"),
            f"<?xml version='1.0' encoding='ISO-8859-1'?>{text}".encode("latin-1"),
            b"\xef\xbb\xbf" + text.encode(),
            f"<?xml version='1.0'?><!-- <reply> --><?pi <reply> ?>{text}<!-- the end -->".encode(),
        )
    )
    return exchange.answer.but(body=body, note=f"200, XML {body[:40]!r}").script()


# --- values -----------------------------------------------------------------------------------------------------------

_ODD_VALUES: Sequence[object] = (None, {}, [], "", "x" * 70_000, "a\r\nX-Injected: 1", "\ud800", 1.5, True, ["a", "b"])
_ODD_TOKENS: Sequence[object] = (None, {}, [], "", 5, "a b", "a\r\nX-Injected: 1", "ü€", "x" * 100_000, True)
_ODD_LIFETIMES: Sequence[object] = (-5, 0, 0.001, "soon", "", None, True, [], 10**30, "1e400")


def _odd_kept_value(exchange: Exchange) -> Script:
    value = exchange.rand.choice(_ODD_VALUES)
    return json_answer({"id": value}, 201).but(note=f"201, keep {str(value)[:20]!r}").script()


def _odd_token(exchange: Exchange) -> Script:
    value = exchange.rand.choice(_ODD_TOKENS)
    return json_answer({"token": value, "ttl": 600}).but(note=f"200, token {str(value)[:20]!r}").script()


def _odd_lifetime(exchange: Exchange) -> Script:
    document = json.loads(exchange.answer.body)
    document["ttl"] = exchange.rand.choice(_ODD_LIFETIMES)
    return json_answer(document).but(note=f"200, lifetime {document['ttl']!r}").script()


# --- lists and searches -----------------------------------------------------------------------------------------------


def _same_page(exchange: Exchange) -> Script:
    """The next page is this one again; of the first page, the second one is."""
    document = {**json.loads(exchange.answer.body), "next": exchange.request.query.get("cursor") or "2"}
    return json_answer(document).but(note=f"200, next {document['next']!r}").script()


def _odd_folders(exchange: Exchange) -> Script:
    odd: Sequence[object] = (None, 5, "x", {}, [], {"id": None}, {"id": {}}, {"id": "../d0"}, {"id": ""})
    rows = exchange.rand.choice(([exchange.rand.choice(odd)], {"a": 1}, "d0", 5))
    return json_answer({"folders": rows}).but(note=f"200, folders {rows!r}").script()


def _odd_made(exchange: Exchange) -> Script:
    """Remote jobs that must not be taken: too old, from the future, unnamed, or of another question."""
    row: dict[str, object] = {"id": "trap", "kind": "all", "state": "done", "at": START_AT}
    traps: Sequence[dict[str, object]] = (
        {"at": START_AT - 5 * 3600}, {"at": START_AT + 10**8}, {"at": None}, {"at": "yesterday"}, {"id": None},
        {"id": {}}, {"id": ""}, {"kind": "some"}, {"kind": None}, {"state": "failed"}, {"state": None},
    )  # fmt: skip
    changed = exchange.rand.choice(traps)
    rows: list[object] = [{**row, **changed}, None, 5]
    return json_answer({"made": rows}).but(note=f"200, made {changed!r}").script()


# --- files that add up, and fields that a list names ------------------------------------------------------------------

_NO_FIELDS: Sequence[object] = (
    None, [], 5, "X-File-Key: 1", {"X-File-Key": None}, {"X-File-Key": "a\r\nX-Injected: 1"}, {"a b": "c"}, {"": "x"},
    {"Host": "example.com"}, {"Authorization": "Bearer of-the-list"}, {"Cookie": "a=b"}, {"Range": "bytes=1-"},
    {"Transfer-Encoding": "chunked"}, {"Content-Length": "5"}, {"X": "x" * 70_000}, {"X-ü": "1"}, {"X": "\ud800"},
    {f"X-{number}": "1" for number in range(500)},
)  # fmt: skip


def _lost_cursor(exchange: Exchange) -> Script:
    """The reply names no cursor that can be kept, so the next one lists the same files once more."""
    document = {**json.loads(exchange.answer.body), "seen": exchange.rand.choice((None, {}, [], "x" * 70_000))}
    if exchange.rand.random() < 0.5:
        del document["seen"]
    return json_answer(document).but(note="200, without a cursor").script()


def _odd_fields(exchange: Exchange) -> Script:
    """Fields that no request can have, or that a download sets itself; a request without the right ones is refused."""
    document = json.loads(exchange.answer.body)
    odd = exchange.rand.choice(_NO_FIELDS)
    for item in document.get("files", ()):
        item["fields"] = odd
    return json_answer(document).but(note=f"200, fields {str(odd)[:40]!r}").script()


# --- again ------------------------------------------------------------------------------------------------------------


def _fails_for_now(exchange: Exchange) -> Script:
    if exchange.kind == "submit":
        return json_answer({"error": "BUSY"}, 409).script()
    fields: Fields = (("Retry-After", "90"),) if exchange.rand.random() < 0.5 else ()
    return json_answer({"state": "lost", "error": "the cluster was restarted"}, fields=fields).script()


# --- limits -----------------------------------------------------------------------------------------------------------

_LIMITS = (
    ("0", "40"), ("0", "99999999999"), ("0", "-5"), ("0", "soon"), ("-1", "10"), ("many", "10"), ("0, 5", "10, 20"),
    ("", ""), ("0", "1e9"), ("0.0", "2.5"), ("NaN", "NaN"), ("\u0661", "\u0662"),
)  # fmt: skip


def _limit_fields(exchange: Exchange) -> Script:
    remaining, reset = exchange.rand.choice(_LIMITS)
    fields = (("X-Remaining", remaining), ("X-Reset", reset))
    answer: Answer = exchange.answer.but(fields=(*exchange.answer.fields, *fields))
    return answer.but(note=f"{answer.note or answer.status}, limits {remaining!r} {reset!r}").script()


def _in(shape: str) -> Fits:
    def fits(plan: Plan, _file: FilePlan | None) -> bool:
        return plan.shape == shape

    return fits


def _own(  # noqa: PLR0917  # the columns of a table
    name: str, shape: str, kinds: set[str], play: Play, says: str, of_submit: str, fatal: set[str]
) -> Trick:
    return Trick(name, frozenset(kinds), play, says, of_submit, frozenset(fatal), _in(shape), own=True)  # type: ignore[arg-type]


TRICKS = [
    _own("bad-xml", "xml", {"submit", "poll"}, _bad_xml, "xml|reply|names|rule", "unclear", set()),
    # A reply beyond a bound is refused, as one of JSON is: the next one would be the same.
    _own("deep-xml", "xml", {"poll"}, _deep_xml, "deep", "unclear", {"poll"}),
    _own("other-xml", "xml", {"submit", "poll"}, _other_xml, "-", "harmless", set()),
    _own("kept-odd", "staged", {"before"}, _odd_kept_value, "kept|keep|part|422|names|id", "unclear", {"before"}),
    Trick("odd-token", frozenset({"login"}), _odd_token, "token|log in|login|sign|reply", own=True),
    Trick("odd-lifetime", frozenset({"login"}), _odd_lifetime, "-", "harmless", own=True),
    _own("list-loops", "nested", {"folders"}, _same_page, "page|cursor|again|repeat", "unclear", {"folders"}),
    _own("list-odd", "nested", {"folders"}, _odd_folders, "item|value|list|json|folder|404", "unclear", {"folders"}),
    _own("search-odd", "reuse", {"search"}, _odd_made, "-", "unclear", set()),
    _own("cursor-lost", "added", {"poll"}, _lost_cursor, "kept|keep|seen|names", "unclear", set()),
    _own("fields-odd", "named", {"poll"}, _odd_fields, "field|header|422|wanted|names", "unclear", {"poll"}),
    _own("fails-for-now", "again", {"submit", "poll"}, _fails_for_now, "again", "refused", {"submit", "poll"}),
    Trick("limit-fields", EVERY, _limit_fields, "-", "harmless"),
]
