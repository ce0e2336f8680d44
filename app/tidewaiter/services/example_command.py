"""A command that can be copied: how to submit an operation, with every parameter that it needs."""

import shlex
from collections.abc import Iterator

from tidewaiter.domain.formatting import written
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.spec.parameter_spec import ParameterSpec

ANY_SUBMIT = "tidewaiter submit ACCOUNT OPERATION -p KEY=VALUE"


def example_submit(account: BoundAccount, operation: str) -> str:
    """The command that submits an operation, with its required parameters.

    A value is the spec's example, the first permitted value, or a word in capitals that the person replaces.
    """
    words = ["tidewaiter", "submit", account.name, operation]
    for name, value in _needed(account, operation):
        words += ["-p", f"{name}={written(value)}"]
    return shlex.join(words)


def _needed(account: BoundAccount, operation: str) -> Iterator[tuple[str, Json]]:
    """The parameters without which the operation is refused, whatever the others are."""
    for name, one in account.provider.spec.operations[operation].params.items():
        if one.required and one.default is None and not one.when:
            yield name, _value(name, one)


def _value(name: str, one: ParameterSpec) -> Json:
    if one.example is not None:
        return one.example
    if one.enum:
        return one.enum[0]
    simple: dict[str, Json] = {"integer": 1, "boolean": True, "object": {}, "array": []}
    return simple.get(one.type, name.upper())
