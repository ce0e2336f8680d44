"""airbyte-cdk: a declarative source with an asynchronous retriever, and the little of a platform that it needs.

One process plays both, so a kill is the loss of a machine: it runs ``read`` with the last state that it has stored,
writes the records to a file under a temporary name, and stores the state that comes after them when the file has its
final name.
"""

import json
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from airbyte_cdk.cli.source_declarative_manifest._run import create_declarative_source
from airbyte_cdk.entrypoint import AirbyteEntrypoint

FOLDER = Path(os.environ["FOLDER"])
DATABASE = os.environ["DSN"].removeprefix("sqlite:///")
MANIFEST = Path(__file__).with_name("airbyte.json")


def stored(statement: str, *values: str) -> list[tuple[str]]:
    """Run a statement in the platform's database."""
    with closing(sqlite3.connect(DATABASE)) as database, database:
        return database.execute(statement, values).fetchall()


def read(folder: Path) -> None:
    """Run the source once, from the last state to the end."""
    manifest = json.loads(MANIFEST.read_text())
    contents = {
        "config": {"provider": os.environ["PROVIDER"], "__injected_declarative_manifest": manifest},
        "catalog": {
            "streams": [
                {
                    "stream": {"name": "exports", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                    "sync_mode": "full_refresh",
                    "destination_sync_mode": "overwrite",
                }
            ]
        },
        "state": json.loads(stored("SELECT state FROM reads")[0][0]),
    }
    arguments = ["read"]
    for name, content in contents.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content))
        arguments += [f"--{name}", str(path)]
    part, state = FOLDER / ".1.part", []
    with part.open("w") as file:
        for line in AirbyteEntrypoint(create_declarative_source(arguments)).run(
            AirbyteEntrypoint.parse_args(arguments)
        ):
            message = json.loads(line)
            if message["type"] == "RECORD":
                file.write(json.dumps(message["record"]["data"]) + "\n")
            elif message["type"] == "STATE":
                state = [message["state"]]
            else:
                sys.stdout.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.rename(FOLDER / "1")
    stored("UPDATE reads SET state = ?, live = 0", json.dumps(state))


if sys.argv[1] == "prepare":
    stored("CREATE TABLE reads (state TEXT, live INTEGER)")
    stored("INSERT INTO reads VALUES ('[]', 1)")
else:
    with tempfile.TemporaryDirectory() as made:
        read(Path(made))
