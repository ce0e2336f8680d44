"""Objects among the parameters whose members become fields of a query or form: refused before they are stored."""

import pytest

from tests.support.spec_samples import provider_of
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import ParameterError

_SPEC = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com"

[operations.thing]
title = "A thing"
repeatable = true

[operations.thing.params]
more = { type = "object", help = "x", required = false }
method = { help = "x", enum = ["GET", "POST"], default = "GET" }

[[operations.thing.submit]]
when = { params.method = "GET" }
method = "GET"
url = "/x"
query = { "*" = "${params.more}" }
rules = [{ then = "ready" }]

[[operations.thing.submit]]
method = "POST"
url = "/x"
SECOND
rules = [{ then = "ready" }]

[operations.thing.results]
inline = true
"""


def _operation(second: str) -> BoundOperation:
    return provider_of(_SPEC.replace("SECOND", second)).bind("shop", {}).operations["thing"]


@pytest.mark.parametrize("value", [{"b": 1}, [[1]], [{"b": 1}]])
def test_what_no_request_can_hold_is_refused(value: Json) -> None:
    """The message names the member; a job that can never be submitted is not accepted."""
    operation = _operation('form = { "*" = "${params.more}" }')
    with pytest.raises(ParameterError, match=r"more\.a: is neither a single value nor a list of them"):
        operation.check_params({"more": {"a": value}})
    given: dict[str, Json] = {"a": [1, "x", None], "b": None, "c": True}
    assert operation.check_params({"more": given})["more"] == given


def test_what_one_request_can_hold_is_accepted() -> None:
    """Another way to submit sends the object as JSON."""
    given: dict[str, Json] = {"more": {"a": {"b": 1}}, "method": "POST"}
    assert _operation('json = "${params.more}"').check_params(given) == given
