"""Values as TOML: whatever can stand in a configuration reads back as it was."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.config.table_keys import toml_key, toml_value

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_SCALARS = st.none().map(lambda _: True) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _TEXT
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=8
)


@given(_TEXT, _VALUES)
def test_it_reads_back(key: str, value: object) -> None:
    """Keys of any letters and values of every kind: what is written is what is read."""
    assert tomllib.loads(f"{toml_key('a', key)} = {toml_value(value)}") == {"a": {key: value}}


def test_what_toml_has_not() -> None:
    """Nothing is written for what cannot be read back."""
    with pytest.raises(TypeError, match="NoneType cannot be written in TOML"):
        toml_value([None])
