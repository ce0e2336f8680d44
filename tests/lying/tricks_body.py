"""Faults of the body: pages of HTML in its place, codings of every kind, changed bytes, moved entity tags."""

import gzip
import zlib
from typing import TYPE_CHECKING

from tests.lying.answers import Answer, Script
from tests.lying.plan import FilePlan, Plan
from tests.lying.trick import EVERY, FILES, JSONS, Exchange, Trick, announced, proved

if TYPE_CHECKING:
    from tests.lying.remote import Remote

# https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type
_HTML = (
    "<!DOCTYPE html>", "<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>", "<html lang='en'>", "<HEAD>", "<script>",
    "<iframe src='x'>", "<h1>", "<div>", "<font>", "<table>", "<a href='/'>", "<style>", "<title>", "<b>", "<body>",
    "<br>", "<p>", "<!-- a comment -->", "\n\t <html>", "<?xml version='1.0'?><!DOCTYPE html>", "<!-- x --><html>",
)  # fmt: skip
_SURE = ("<!DOCTYPE html>", "<html lang='en'>", "\n\t <html>", "<?xml version='1.0'?><!DOCTYPE html>")
"""What is HTML also where XML is expected."""


def _html(exchange: Exchange) -> Script:
    rand, plan = exchange.rand, exchange.remote.plan
    start = rand.choice(_SURE if "xml" in plan.media else _HTML)
    if plan.media == "text/html":
        return Answer(502, (("Content-Type", "text/html"),), b"<html>", note="502 in HTML").script()
    bom = b"\xef\xbb\xbf" if rand.random() < 0.3 else b""
    body = bom + f"{start}<title>Sign in</title><body>Please sign in</body></html>".encode()
    kind = rand.choice(("text/html; charset=utf-8", plan.media or "text/plain", ""))
    fields = (("Content-Type", kind),) if kind else ()
    return Answer(200, fields, body, note=f"200, HTML {bom + start.encode()!r} as {kind!r}").script()


def _declared_html(exchange: Exchange) -> Script:
    """The file itself, declared as HTML, which PHP does by default."""
    return exchange.answer.with_fields(("Content-Type", "text/html; charset=UTF-8")).script()


def _coded(name: str, data: bytes) -> bytes:
    if name in ("gzip", "x-gzip", "GZIP"):
        return gzip.compress(data, mtime=0)
    if name == "deflate":
        return zlib.compress(data)
    return data


def _codings(*orders: tuple[str, ...]):  # type: ignore[no-untyped-def]  # gives a Play
    def play(exchange: Exchange) -> Script:
        rand, answer = exchange.rand, exchange.answer
        if answer.status != 200:
            return answer.script()
        order = rand.choice(orders)
        body = answer.body
        for name in order:
            body = _coded(name, body)
        if len(order) > 1 and rand.random() < 0.4:
            fields = tuple(("Content-Encoding", name) for name in order)
        else:
            fields = (("Content-Encoding", ", ".join(order)),)
        note = f"{answer.note}, Content-Encoding {[value for _, value in fields]}"
        return answer.but(body=body, fields=(*answer.fields, *fields), note=note).script()

    return play


def _unknown_coding(exchange: Exchange) -> Script:
    body = b"\x1b\x2a" + zlib.compress(exchange.answer.body)[::-1]
    name = exchange.rand.choice(("br", "zstd", "compress", "x-magic", "gzip, br"))
    return exchange.answer.but(body=body, note=f"200 in {name}").with_fields(("Content-Encoding", name)).script()


def _declared_but_plain(exchange: Exchange) -> Script:
    return exchange.answer.with_fields(("Content-Encoding", "gzip")).but(note="plain, declared as gzip").script()


def _packed_undeclared(exchange: Exchange) -> Script:
    body = gzip.compress(exchange.answer.body)
    return exchange.answer.but(body=body, note="packed by gzip, not declared").script()


def _unpacked_already(exchange: Exchange) -> Script:
    """A file that its list calls packed comes plain."""
    return exchange.answer.but(body=gzip.decompress(exchange.answer.body), note="plain").script() if (
        exchange.answer.status == 200
    ) else exchange.answer.script()  # fmt: skip


def _flipped(exchange: Exchange) -> Script:
    body = bytearray(exchange.answer.body)
    if not body:
        return exchange.answer.but(status=500).script()
    body[exchange.rand.randrange(len(body))] ^= 1
    return exchange.answer.but(body=bytes(body), note="one bit is another").script()


def _other_file(exchange: Exchange) -> Script:
    return Answer(200, exchange.answer.fields, b"id,value\r\n1,another file\r\n", note="200, another file").script()


def _empty(exchange: Exchange) -> Script:
    return exchange.answer.but(body=b"", note="200, nothing").script()


def _broken_json(exchange: Exchange) -> Script:
    body = exchange.rand.choice((exchange.answer.body[:-2], b"", b"null", b"[]", b'"text"', b"{}", b"\xff\xfe{}"))
    return exchange.answer.but(body=body, note=f"200, JSON {body[:20]!r}").script()


def _honest(exchange: Exchange) -> Script:
    return exchange.answer.script()


def _move(remote: "Remote", kind: str) -> None:
    remote.versions[int(kind.removeprefix("file")) if kind.startswith("file") else 0] += 1


def _expire(remote: "Remote", kind: str) -> None:
    remote.valid_from = remote.ready + 1


def _expire_session(remote: "Remote", kind: str) -> None:
    remote.session += 1


def _announced_plain(plan: Plan, file: FilePlan | None) -> bool:
    return announced(plan, file) and not _is_packed(plan, file)


def _is_packed(plan: Plan, file: FilePlan | None) -> bool:
    return file is not None and file.packed


def _unannounced(plan: Plan, file: FilePlan | None) -> bool:
    return not announced(plan, file) and not (file is not None and file.packed)


_UNPACK = "unpack|packed|gzip|coding|encod|came as|sha|md5|size|announced|broke|breaks|json|reply"
_NOT_IT = "html|page|json|no rule|names|reply|unmapped|sign in|name|xml"

TRICKS = [
    Trick("html", EVERY - {"cleanup", "cancel"}, _html, _NOT_IT, runs=2),
    Trick("declared-html", FILES, _declared_html, "-"),
    Trick("coded", FILES | {"page"}, _codings(("gzip",), ("x-gzip",), ("deflate",), ("GZIP",)), "-"),
    Trick(
        "coded-in-steps",
        FILES | {"page"},
        _codings(("gzip", "gzip"), ("deflate", "gzip"), ("identity", "gzip"), ("gzip", "identity")),
        _UNPACK,
    ),
    Trick(
        "coded-reply", JSONS, _codings(("gzip",), ("deflate",), ("gzip", "gzip"), ("identity",)), _UNPACK, "harmless"
    ),
    Trick(
        "false-coding",
        FILES | {"page"},
        _codings(
            ("UTF-8",),
            ("none",),
            ("binary",),
            ("8bit",),
            ("ISO-8859-1",),
            ("aws-chunked",),
            ("aws-chunked", "gzip"),
            ("identity",),
        ),
        "-",
    ),
    Trick("unknown-coding", FILES | {"page"}, _unknown_coding, _UNPACK, runs=2),
    Trick("coded-in-name-only", FILES | {"page"}, _declared_but_plain, _UNPACK, fits=_unannounced),
    Trick("coded-unsaid", frozenset({"file"}), _packed_undeclared, _UNPACK, fits=_announced_plain),
    Trick("unpacked-already", frozenset({"file"}), _unpacked_already, "-", fits=_is_packed),
    Trick("flipped-bit", frozenset({"file"}), _flipped, "sha|md5|digest|checksum|unpack", fits=proved, runs=2),
    Trick(
        "another-file", frozenset({"file"}), _other_file, "sha|md5|size|bytes|announced|unpack", fits=announced, runs=2
    ),
    Trick("nothing", frozenset({"file"}), _empty, "sha|md5|size|bytes|announced|unpack|ended", fits=announced),
    Trick("broken-json", JSONS - {"cleanup", "cancel", "adopt"}, _broken_json, _NOT_IT),
    # The list told of what the file was: only a list that tells nothing of it can be right afterwards.
    Trick("moved", FILES, _honest, "-", first=_move, fits=lambda plan, file: not announced(plan, file)),
    Trick(
        "links-expire",
        frozenset({"file"}),
        _honest,
        "-",
        first=_expire,
        fits=lambda plan, _: plan.shape in ("list", "resolve", "nested", "xml"),
    ),
    Trick(
        "session-ends",
        frozenset({"poll", "page", "resolve", "inline"}),
        _honest,
        "-",
        first=_expire_session,
        fits=lambda plan, _: plan.auth == "session",
    ),
]
