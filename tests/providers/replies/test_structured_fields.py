"""Lists of items in header fields, as RFC 9651 has them: what they are, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.providers.replies.structured_fields import FieldItem, MalformedFieldError, list_of_items


@pytest.mark.parametrize(
    ("field", "items"),
    [
        ("", []),
        ("   ", []),
        ('"default";r=50;t=30', [FieldItem("default", {"r": 50, "t": 30})]),
        ('"a";q=50;w=60,"b";q=1;w=9', [FieldItem("a", {"q": 50, "w": 60}), FieldItem("b", {"q": 1, "w": 9})]),
        ('"a" ;r=1', None),
        ('"a"; r=1 \t,\t "b"', [FieldItem("a", {"r": 1}), FieldItem("b", {})]),
        ('"peruser";q=65535;qu="content-bytes";w=10;pk=:sdfjLJUOUH==:',
            [FieldItem("peruser", {"q": 65535, "qu": "content-bytes", "w": 10, "pk": "sdfjLJUOUH=="})]),
        ("default;r=1", [FieldItem("default", {"r": 1})]),
        ("a;r=1;r=2", [FieldItem("a", {"r": 2})]),
        ("a;flag;other=?0", [FieldItem("a", {"flag": True, "other": False})]),
        ('a;x=1.5;y=tok/en:1;z=@1659578233;d=%"f%c3%bc"',
            [FieldItem("a", {"x": "1.5", "y": "tok/en:1", "z": "1659578233", "d": "f%c3%bc"})]),
        ('"say \\"hi\\" \\\\";r=1', [FieldItem('say "hi" \\', {"r": 1})]),
        ("a;r=-0", [FieldItem("a", {"r": 0})]),
        ("a;r=999999999999999", [FieldItem("a", {"r": 999_999_999_999_999})]),
        ("-17;r=1", [FieldItem("-17", {"r": 1})]),
        # What is none of it is ignored as a whole.
        ("a;r=1000000000000000", None),
        ("a;r=1e9", None),
        ("a;r=1.", None),
        ("a;r=1.1234", None),
        ("a;r=+1", None),
        ("a;r=", None),
        ("a;R=1", None),
        ("a;", None),
        ("a;=1", None),
        ("a,", None),
        (",a", None),
        ("a,,b", None),
        ("a b", None),
        ('"a', None),
        ('"a\\x"', None),
        ('"ä"', None),
        ("(a b);r=1", None),
        ("limit=100, remaining=50, reset=5", None),
        (":a*:;r=1", None),
        ("?2", None),
        ("\ta", None),
        (",".join(["a"] * 65), None),
        ("a" * 9000, None),
    ],
)  # fmt: skip
def test_what_a_field_says(field: str, items: list[FieldItem] | None) -> None:
    """The items of a list; a field with one mistake says nothing."""
    if items is None:
        with pytest.raises(MalformedFieldError):
            list_of_items(field)
    else:
        assert list_of_items(field) == items


@given(st.text(alphabet=st.characters(max_codepoint=255)) | st.text(alphabet='"\\;,=:?@%() \tabrt019.-*'))
def test_nothing_else_happens(field: str) -> None:
    """Any text is a list or malformed."""
    try:
        items = list_of_items(field)
    except MalformedFieldError:
        return
    assert len(items) <= 64


_ITEM = st.builds(
    lambda value, numbers: ";".join([f'"{value}"', *(f"{name}={number}" for name, number in numbers.items())]),
    st.text(alphabet="abc-1", max_size=8),
    st.dictionaries(st.sampled_from(["r", "t", "w", "q"]), st.integers(0, 10**15 - 1)),
)


@given(st.lists(_ITEM, min_size=1, max_size=8))
def test_what_is_written_is_read(items: list[str]) -> None:
    """Any list of well-made items has as many, each with its parameters."""
    found = list_of_items(", ".join(items))
    for text, item in zip(items, found, strict=True):
        assert text == ";".join([f'"{item.value}"', *(f"{name}={number}" for name, number in item.parameters.items())])
