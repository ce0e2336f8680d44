"""The head of a reply, its status and its header fields, as JSON: what lands where a reply has no body by intent."""

import json

from app.domain.jsonvalue import Json
from app.domain.wire import field_values
from app.providers.reading import Reading


def head_of(reading: Reading) -> bytes:
    """The status code, the reason phrase and the header fields of a reply, as a JSON object in UTF-8.

    Names of fields are written as they came. A field that came once is a text; one that came several times is an array
    of texts, in their order. The address of the reply is left out, because credentials may stand in its query.
    """
    fields: dict[str, Json] = {}
    seen: set[str] = set()
    for name in reading.headers:
        if (folded := name.lower()) not in seen:
            seen.add(folded)
            values = field_values(reading.headers, folded)
            fields[name] = values[0] if len(values) == 1 else list(values)
    return json.dumps({"status": reading.status, "reason": reading.phrase, "headers": fields}, indent=2).encode("ascii")
