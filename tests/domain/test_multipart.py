"""Bodies with several parts, as another program reads them."""

from email import message_from_bytes
from email.message import Message

from hypothesis import example, given
from hypothesis import strategies as st

from tidewaiter.domain.multipart import FileContent, FileSource, Multipart, Part


def read(content_type: str, body: bytes) -> list[Message]:
    """The parts, read by the standard library."""
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    assert not message.defects
    return [part for part in parts if isinstance(part, Message)]


@example([b"\r\n", b""])
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_every_part_comes_out_as_it_went_in(contents: list[bytes]) -> None:
    """Whatever its bytes are."""
    parts = tuple(Part(f"f{number}", content, "x", "a/b") for number, content in enumerate(contents))
    content_type, body = Multipart(parts, "seed").encoded({})
    boundary = content_type.partition("boundary=")[2].encode()
    inside = body.removeprefix(b"--" + boundary).removesuffix(b"\r\n--" + boundary + b"--\r\n")
    pieces = inside.split(b"\r\n--" + boundary)
    assert len(read(content_type, body)) == len(contents)
    assert [piece.partition(b"\r\n\r\n")[2] for piece in pieces] == contents


def test_the_head_of_a_part_cannot_be_broken() -> None:
    """Quotes and line breaks of a name are encoded, those of a media type are left out."""
    part = Part('a"\r\nX-Evil: 1', b"1", 'é"\n.csv', "text/csv\r\nX-Evil: 1")
    _, body = Multipart((part,), "seed").encoded({})
    head = body.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    assert head == [
        'Content-Disposition: form-data; name="a%22%0D%0AX-Evil: 1"; filename="é%22%0A.csv"'.encode(),
        b"Content-Type: text/csv  X-Evil: 1",
    ]


def test_the_boundary_is_that_of_the_intent_and_in_no_part() -> None:
    """The same parts with the same seed are the same bytes; a part that has the boundary gets another one."""
    plain = Multipart((Part("a", b"1"),), "seed").encoded({})
    assert Multipart((Part("a", b"1"),), "seed").encoded({}) == plain
    boundary = plain[0].partition("boundary=")[2].encode()
    hostile = Multipart((Part("a", b"\r\n--" + boundary + b"--\r\n"),), "seed").encoded({})
    assert boundary not in hostile[0].encode()
    assert Multipart((Part("a", b"1"),), "other").encoded({}) != plain


def test_a_file_has_its_own_name_and_type() -> None:
    """Unless the part says otherwise."""
    source = FileSource("folder", "in/rows.csv")
    found = {source: FileContent("rows.csv", "text/csv", b"1")}
    (own,) = read(*Multipart((Part("file", source),), "s").encoded(found))
    assert (own.get_filename(), own.get_content_type(), own.get_payload()) == ("rows.csv", "text/csv", "1")
    (other,) = read(*Multipart((Part("file", source, "x.txt", "text/plain"),), "s").encoded(found))
    assert (other.get_filename(), other.get_content_type()) == ("x.txt", "text/plain")
    unknown = {source: FileContent("rows", None, b"1")}
    (plain,) = read(*Multipart((Part("file", source),), "s").encoded(unknown))
    assert plain.get_content_type() == "application/octet-stream"
