"""The JSON Schema of specs, for editors."""

import json
from typing import Any

from tidewaiter.providers.spec.provider_spec import spec_schema


def _definitions() -> dict[str, Any]:
    schema: Any = spec_schema()
    return dict(schema["$defs"])


def test_the_schema_is_json_and_closed() -> None:
    """Every table of the language refuses keys that it does not have."""
    assert json.loads(json.dumps(spec_schema())) == spec_schema()
    tables = [one for one in _definitions().values() if one.get("type") == "object"]
    assert len(tables) > 15
    assert all(table["additionalProperties"] is False for table in tables)


def test_the_schema_knows_the_keys_of_the_file() -> None:
    """Names as they stand in TOML, not as the models call them."""
    request = _definitions()["SubmitSpec"]["properties"]
    assert {"json", "form", "url", "when", "handle", "rules"} <= set(request)
    assert "body" not in request


def test_the_schema_allows_the_short_forms() -> None:
    """One table instead of a list of one, and an expression instead of a table."""
    operation = _definitions()["OperationSpec"]["properties"]
    one, several = operation["submit"]["anyOf"]
    assert one == several["items"] == {"$ref": "#/$defs/SubmitSpec"}
    assert _definitions()["PickSpec"]["anyOf"][0]["type"] == "string"
