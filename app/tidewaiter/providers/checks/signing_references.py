"""The templates in the tables of signatures: which settings they refer to."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidewaiter.providers.values.signing_templates import account_references

_AWS_TEXTS: Final = ("region", "service", "access_key", "secret_key")


def signing_texts(auth: Mapping[str, Any]) -> Iterator[tuple[str, object, bool]]:
    """The key, the template and whether it must have a value, of every text that refers to settings only.

    Each may contain secrets: what is made of it goes to the provider's own origin. Of a text of a signature, which also
    refers to the request, every reference to a setting is a text of its own.
    """
    match auth.get("type"):
        case "hmac":
            yield "key", auth.get("key"), True
            yield from _inner("string_to_sign", auth.get("string_to_sign"))
            for table in ("headers", "query"):
                texts = auth.get(table)
                for name, text in texts.items() if isinstance(texts, Mapping) else ():
                    yield from _inner(f"{table}.{name}", text)
        case "aws4":
            yield from ((name, auth.get(name), True) for name in _AWS_TEXTS)
            yield "session_token", auth.get("session_token"), False
        case _:
            return


def _inner(key: str, text: object) -> Iterator[tuple[str, object, bool]]:
    if isinstance(text, str):
        yield from ((key, one, True) for one in account_references(text))


def machine_faults(
    auth: Mapping[str, Any], key: str, settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """The machine's own keys are used only if the operator writes so: no default may say it."""
    default = settings.get("credentials", {}).get("default")
    if auth.get("type") == "aws4" and auth.get("credentials") == "machine" and default == "machine":
        yield f"{key}.credentials", "is used without a word of the operator: give account.credentials another default"
