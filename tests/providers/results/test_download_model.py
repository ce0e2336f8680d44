"""The download plan against a model: whatever a server does, versions of a file never mix."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.results.reply_heads import LARGEST, Fields, head_of
from tests.support.effort import examples
from tidewaiter.domain.outcome import Retry
from tidewaiter.providers.results.download_replies import (
    AskAgain,
    Complete,
    DownloadRequest,
    FileBody,
    FileHead,
    after,
    decide,
)

# --- a model of a server ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Version:
    """The file as it is for a while: every byte of it tells which version it belongs to."""

    tag: str
    content: bytes


VERSIONS = [Version(f'"v{number}"', bytes([number]) * size) for number, size in enumerate((7, 9, 9, 12))]


@dataclass(frozen=True, slots=True)
class Sent:
    """A reply of the model: its head and its body."""

    head: FileHead
    body: bytes


@st.composite
def replies(draw: st.DrawFn, asked: DownloadRequest) -> Sent:
    """A reply that names the bytes that it brings truthfully, and otherwise does what it likes.

    Two lies are left out because no client can see through them: a part of another version without its tag, and a
    slice that is called nothing else than 200. A body may be cut short only where its length was named.
    """
    version = draw(st.sampled_from(VERSIONS))
    size = len(version.content)
    kind = draw(st.sampled_from(["whole", "part", "part", "part", "200 with a range", "416", "multipart", "error"]))
    fields: Fields = []
    if draw(st.booleans()) or version.tag != asked.validator:
        fields.append(("ETag", version.tag))
    if kind == "whole":
        if draw(st.booleans()):
            fields.append(("Content-Length", str(size)))
        return Sent(head_of(200, fields), version.content)
    if kind == "416":
        total = draw(st.sampled_from([str(size), str(asked.at), "*", ""]))
        if total == str(asked.at) and version.content[: asked.at] == b"":
            total = "*"
        named = size if total == str(size) else None
        value = f"bytes */{named}" if named is not None else "bytes */*"
        return Sent(head_of(416, [*fields, ("Content-Range", value)]), b"")
    if kind == "error":
        return Sent(head_of(draw(st.sampled_from([202, 204, 404, 503])), fields), b"oops")
    first = draw(st.one_of(st.integers(0, size - 1), st.just(min(asked.at, size - 1))))
    last = draw(st.one_of(st.just(size - 1), st.integers(first, size - 1)))
    total = draw(st.sampled_from([str(size), "*"]))
    body = version.content[first : last + 1]
    if kind == "multipart":
        body = b"--x\r\n" + body + b"\r\n--x--"
        return Sent(head_of(206, [*fields, ("Content-Type", "multipart/byteranges; boundary=x")]), body)
    status = 206 if kind == "part" else 200
    if draw(st.booleans()):
        body = body[: draw(st.integers(0, len(body)))]
    unit = draw(st.sampled_from(["bytes", "Bytes", "BYTES"]))
    return Sent(head_of(status, [*fields, ("Content-Range", f"{unit} {first}-{last}/{total}")]), body)


@settings(max_examples=examples(400))
@given(data=st.data())
def test_what_is_complete_is_one_version_of_the_file(data: st.DataObject) -> None:
    """Whatever a server does, and wherever the download begins: versions never mix, and no part is taken for all."""
    held, asked = b"", DownloadRequest()
    if data.draw(st.booleans()):
        version = data.draw(st.sampled_from(VERSIONS))
        held = version.content[: data.draw(st.integers(1, len(version.content)))]
        asked = DownloadRequest(len(held), version.tag, data.draw(st.sampled_from([None, len(version.content)])))
    for _ in range(12):
        sent = data.draw(replies(asked))
        trouble = Retry("no file") if sent.head.status in (202, 204, 404, 503) else None
        decision = decide(asked, sent.head, trouble=trouble, expected=None, largest_bytes=LARGEST)
        if isinstance(decision, FileBody):
            held = sent.body if decision.at == 0 else held + sent.body
            decision = after(asked, decision, len(sent.body))
        if isinstance(decision, Complete):
            assert held in [version.content for version in VERSIONS]
            return
        if not isinstance(decision, AskAgain):
            return
        asked = decision.asked
        held = held if asked.at else b""
        assert asked.at == len(held)
