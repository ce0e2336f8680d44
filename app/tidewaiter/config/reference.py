"""The page ``docs/configuration.md``: every table and key, made from the tables themselves."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic.fields import FieldInfo

from tidewaiter.config.json_schema import config_schema
from tidewaiter.config.table_keys import NAME, TableKeys, every_table, is_secret, toml_value

_HEAD: Final = """\
# Configuration

Made from `app/tidewaiter/config` by `make docs-config`; do not edit.

Tidewaiter reads one TOML file: the one that `--config` or `TIDEWAITER_CONFIG` names, else `./tidewaiter.toml`, else
`/etc/tidewaiter/tidewaiter.toml`. Every key has a default, except those that are required.

```sh
tidewaiter config init --provider NAME       # write a sample, with an account to fill in
tidewaiter check-config                      # print everything that is wrong, offline
tidewaiter config show --origin              # the values in use and where each comes from, without secrets
tidewaiter config schema > tidewaiter.schema.json    # for editors: #:schema ./tidewaiter.schema.json
tidewaiter doctor                            # test everything: database, storage, every account, callbacks
```

## Where a value comes from

1. **The environment** overrides the file: `TIDEWAITER__` and the key's path in capitals, with two underscores between
   its parts and one instead of each hyphen: `TIDEWAITER__WORKER__LEASE_S=5`,
   `TIDEWAITER__ACCOUNTS__MY_SHOP__CLEAN=false`. A variable says `true`, `yes`, `on` or `1`, or `false`, `no`, `off` or
   `0`, in any case, for a boolean. In the file booleans and numbers have no quotes: `"no"` is a text, and refused.
2. **A secret file.** Any key may be written as `KEY_file`, in the file and in the environment: the content of the
   file that it names, stripped, is the value of `KEY`. `config show` hides such values.
3. **The file**, and then **the default**.

Relative paths start at the folder of the configuration file, wherever they are written. After an unknown key, a value
of a wrong type or a missing secret file nothing starts: every fault is printed with its place, and the exit code is
78. A running daemon reads its configuration again on SIGHUP.
"""
_TAIL: Final = """
## check-config

`tidewaiter check-config [FILE]` prints what is wrong, without network, database and storage. It also names what `serve`
would refuse on this machine as this user: an extra that is not installed, a storage folder or a database folder that
cannot be written, a lock file of another user. `--file-only` leaves that out, to check a file for another machine. The
exit code is 0, or 78 if something is wrong. Warnings fail it only with `--strict`: secrets that every user of the
machine may read, SQLite on a network file system, addresses without TLS, accounts that may reach private addresses,
accounts with `spacing_s` and several `shards`, and accounts that could send files and name no folder for them.
`--json` prints an object with `ok`, `faults` and `warnings` (each with `origin`, `key` and `reason`) and a `summary`.

## doctor

`tidewaiter doctor` tests what the configuration names, and says how to repair each failure. It needs no daemon, and may
run beside one. The exit code is 0, 1 if a check failed, or 78 if the configuration is wrong.
`--account NAME` checks one account (it may be repeated), `--offline` uses no network, and `--json`
prints an array of objects with `check`, `subject`, `status` (`ok`, `info`, `warning` or `failure`), `message`, `remedy`
and `seconds`.

| check | what it tests |
|---|---|
| `configuration` | the same as `check-config --file-only` |
| `sqlite` | the library's version: some have a bug that can damage a database in WAL mode |
| `file system` | that the SQLite file is on a disk of this machine |
| `free space` | for database and files: less than 1 GB is a warning, less than 100 MB a failure |
| `daemon` | whether a daemon uses the SQLite file; for information only |
| `database` | that it answers, and that its schema fits this program |
| `database clock` | the difference between the database's clock and this machine's; more than 5 s is a warning |
| `storage` | that a file of 64 KiB can be written, synced and deleted, in a folder or a bucket |
| `account` | whether it is paused, according to the database |
| `dns` | that the name of every account, endpoint and public address resolves to addresses that may be reached |
| `tls` | that a connection can be made: the certificate's authority, name, and days left; fewer than 14 are a warning |
| `login` | the probe of the provider's spec, authenticated as the daemon would be, within the account's limits |
| `clock` | the difference between the provider's Date and our clock; more than 30 s is a warning |
| `callbacks` | that a request to the public address arrives at a Tidewaiter |
| `http` | whether the HTTP listener answers; `dns` and `tls` check its public address |

A spec without a probe has no request of its own to test a key. `doctor` then names a harmless one: the status request
of an operation. `--test-key` sends it, with the handle `0`, which no remote job has. A reply that does not refuse the
key passes. A submit is never sent.

Checks of accounts run at the same time, each with its own time limit. The probe counts against the account's rate limit
like any other request. The doctor reads a daemon's requests from the database, which is some seconds late.
"""


def reference() -> str:
    """The page as Markdown."""
    definitions = config_schema()
    parts = [_HEAD, "## Tables and keys", ""]
    for table in every_table():
        parts += _table(table, definitions)
    return "\n".join(parts).rstrip("\n") + "\n" + _TAIL


def _table(table: TableKeys, schema: dict[str, Any]) -> Iterator[str]:
    purpose = table.purpose.removesuffix(".")
    yield f"### `{table.title}`"
    yield ""
    yield f"{purpose[:1].upper()}{purpose[1:]}. Environment: `{_variable(table.path)}__KEY`."
    if not table.keys:
        yield ""
        return
    yield ""
    yield "| key | holds | default | what it is |"
    yield "|---|---|---|---|"
    described = _properties(table.path, schema)
    for name, key in table.keys.items():
        secret = "; secret parts are never shown" if is_secret(key) else ""
        description = (key.description or "").replace("|", "\\|")
        yield f"| `{name}` | {_type_in_words(described[name])} | {_default(key)} | {description}{secret} |"
    yield ""


def _variable(path: tuple[str, ...]) -> str:
    return "__".join(["TIDEWAITER", *(name if name == NAME else name.upper() for name in path)])


def _properties(path: tuple[str, ...], schema: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = schema
    for name in path:
        node = next(iter(node["patternProperties"].values())) if name == NAME else node["properties"][name]
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = node["properties"]
    return found


def _type_in_words(node: dict[str, Any]) -> str:
    """The type of a key's value, in a few words."""
    if "enum" in node:
        return ", ".join(f"`{toml_value(one)}`" for one in node["enum"])
    match node.get("type"):
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number" as kind:
            bounds = [
                f"{word} {node[name]:g}"
                for name, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
                if name in node
            ]
            return " ".join(["whole number" if kind == "integer" else "number", *bounds])
        case "object":
            return "table"
        case "array":
            return "array"
        case _ if "anyOf" in node and all("type" in one for one in node["anyOf"]):
            return " or ".join(dict.fromkeys(_type_in_words(one) for one in node["anyOf"]))
        case _:
            return "text"


def _default(key: FieldInfo) -> str:
    if key.is_required():
        return "required"
    default = key.get_default()
    return "none" if default is None else f"`{toml_value(default)}`"
