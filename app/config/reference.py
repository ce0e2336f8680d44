"""The page ``docs/configuration.md``: every table and key, made from the tables themselves."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic.fields import FieldInfo

from app.config.keys import NAME, TableKeys, every_table, is_secret
from app.config.schema import config_schema
from app.config.toml import toml_value

_HEAD: Final = """\
# Configuration

Made from `app/config` by `make docs-config`; do not edit.

Tidewaiter reads one TOML file: the one that `--config` or `TIDEWAITER_CONFIG` names, else `./tidewaiter.toml`, else
`/etc/tidewaiter/tidewaiter.toml`. Every key has a default but those that are required.

```sh
tidewaiter config init --provider NAME       # write a sample, with an account to fill in
tidewaiter check-config                      # say what is wrong, all at once and offline
tidewaiter config show --origin              # what holds, and where each value comes from; secrets are left out
tidewaiter config schema > tidewaiter.schema.json    # for editors: #:schema ./tidewaiter.schema.json
tidewaiter doctor                            # try it all: database, storage, every account, callbacks
```

## Where a value comes from

1. **The environment** overrides the file: `TIDEWAITER__` and the key's path in capitals, with two underscores between
   its parts and one in place of each hyphen: `TIDEWAITER__WORKER__LEASE_S=5`,
   `TIDEWAITER__ACCOUNTS__MY_SHOP__CLEAN=false`.
2. **A secret file.** Any key may be written as `KEY_file`, in the file and in the environment: the content of the
   file that it names, stripped, is the value of `KEY`. `config show` shows no such value.
3. **The file**, and then **the default**.

Relative paths start at the folder of the configuration file, wherever they are written. A key that there is not, a
value of a wrong kind, a secret file that is missing: nothing starts, every fault is told with where it stands, and
the exit code is 78. A running daemon reads its configuration again on SIGHUP.
"""
_TAIL: Final = """
## check-config

`tidewaiter check-config [FILE]` says what is wrong, and asks nobody: no network, no database, no storage. The exit
code is 0, or 78 where something is wrong. Warnings do not fail it, but for `--strict`: secrets that every user of the
machine may read, SQLite on a network file system, addresses without TLS, accounts that may reach private addresses.
`--json` prints an object with `ok`, `faults` and `warnings` (each with `origin`, `key` and `reason`) and a `summary`.

## doctor

`tidewaiter doctor` tries what the configuration names, and says of each failure what mends it. It may run beside a
daemon, and needs none. The exit code is 0, 1 where a check failed, and 78 where the configuration is at fault.
`--account NAME` looks at one account (it may be repeated), `--offline` asks nothing over the network, and `--json`
prints an array of objects with `check`, `subject`, `status` (`ok`, `info`, `warning` or `failure`), `message`, `mend`
and `seconds`.

| check | what it looks at |
|---|---|
| `configuration` | what `check-config` does |
| `sqlite` | the library's version: some have a fault by which a database in WAL mode can be damaged |
| `file system` | that the SQLite file lies on a disk of this machine |
| `free space` | where the database and the files are: below 1 GB is a warning, below 100 MB a failure |
| `daemon` | whether one holds the SQLite file; no fault either way |
| `database` | that it answers, and that its tables are those of this program |
| `database clock` | how far the database's clock is from this machine's; more than 5 s is a warning |
| `storage` | that a file of 64 KiB can be written, synced and deleted, in a folder or a bucket |
| `account` | whether it is paused, as the database has it |
| `dns` | that the name resolves, and to addresses that may be reached: of every account, receiver and public address |
| `tls` | that a connection comes about: the certificate's authority, name, and days left; fewer than 14 are a warning |
| `login` | the provider's own probe, signed in as the daemon would, within the account's limits |
| `clock` | the provider's clock against ours, by the Date of its reply; more than 30 s is a warning |
| `callbacks` | that a request to the public address arrives at a Tidewaiter |
| `http` | whether the HTTP listener is up; its public address has `dns` and `tls` looked at |

Checks of accounts run side by side, each with a time limit of its own. The probe spends the account's rate limit as
any other request does; of a daemon's requests the doctor knows those that the database knows, which is some seconds
behind.
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
        secret = "; what is secret of it is never shown" if is_secret(key) else ""
        said = (key.description or "").replace("|", "\\|")
        yield f"| `{name}` | {_held(described[name])} | {_default(key)} | {said}{secret} |"
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


def _held(node: dict[str, Any]) -> str:
    """What a key may hold, in a few words."""
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
            return " or ".join(dict.fromkeys(_held(one) for one in node["anyOf"]))
        case _:
            return "text"


def _default(key: FieldInfo) -> str:
    if key.is_required():
        return "required"
    default = key.get_default()
    return "none" if default is None else f"`{toml_value(default)}`"
