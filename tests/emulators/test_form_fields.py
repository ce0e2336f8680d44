"""Forms with members in members."""

import pytest

from tidewaiter.emulators.form_fields import nested


@pytest.mark.parametrize(
    ("pairs", "fields"),
    [
        ([("id", "1"), ("key", "k")], {"id": "1", "key": "k"}),
        ([("a", "1"), ("a", "2")], {"a": "2"}),
        ([("a[b]", "1"), ("a[c][d]", "2")], {"a": {"b": "1", "c": {"d": "2"}}}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        (
            [("v[twitter][][text]", "x"), ("v[twitter][][id]", "1"), ("v[twitter][][text]", "y")],
            {"v": {"twitter": [{"text": "x", "id": "1"}, {"text": "y"}]}},
        ),
        ([("a", "1"), ("a[b]", "2")], {"a": {"b": "2"}}),
        ([("a[b", "1"), ("[c]", "2")], {"a[b": "1", "[c]": "2"}),
    ],
)
def test_members(pairs: list[tuple[str, str]], fields: dict[str, object]) -> None:
    """Brackets make members and lists; a list goes on to its next element when a field comes again."""
    assert nested(pairs) == fields
