"""An emulator's account as TOML tables of a configuration."""

import json
from collections.abc import Mapping
from typing import Final

from app.emulators.catalogue.entry import Account, Value

_PART: Final = "\n[accounts.{name}.{part}]\n{lines}\n"


def account_table(name: str, account: Account, secret_files: Mapping[str, str] | None = None) -> str:
    """The tables of an account.

    Args:
        name: the account's name.
        account: the settings for the emulator.
        secret_files: settings that are read from a file, each with its path.
    """
    settings: dict[str, Value] = dict(account.settings)
    for key, path in (secret_files or {}).items():
        del settings[key]
        settings[f"{key}_file"] = path
    parts = {"settings": settings, "limits": account.limits, "schedule": account.schedule}
    permit = 'allow_private = ["127.0.0.1/32"] # it is on this machine'
    head = f"[accounts.{name}]\nprovider = {_written(account.provider)}\n{permit}\n"
    tables = [_PART.format(name=name, part=part, lines=_lines(values)) for part, values in parts.items() if values]
    return head + "".join(tables)


def _lines(values: Mapping[str, Value]) -> str:
    return "\n".join(f"{key} = {_written(value)}" for key, value in values.items())


def _written(value: Value) -> str:
    # JSON of a number, a boolean or a text without control characters is valid TOML.
    return json.dumps(value, ensure_ascii=False)
