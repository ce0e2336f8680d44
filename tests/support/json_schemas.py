"""Validators of JSON Schema. Their library takes a second to import, so only the tests that validate import it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


def validator_of(schema: Mapping[str, Any]) -> "Draft202012Validator":
    """A validator, after a check that the schema itself is one of the dialect."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # see above

    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
