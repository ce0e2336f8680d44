"""airbyte-cdk: one ``read`` of a declarative source with a partition for each job.

``airbyte_worker.py ORIGIN FOLDER DSN JOBS`` prints the seconds of processor time of the read, with the lines of its
messages, without the start of the interpreter. Records go to one file; nothing is kept of a job before it has landed.
"""

import json
import sys
import time
from pathlib import Path

from airbyte_cdk.cli.source_declarative_manifest._run import create_declarative_source
from airbyte_cdk.entrypoint import AirbyteEntrypoint

ORIGIN, FOLDER, JOBS = sys.argv[1], Path(sys.argv[2]), int(sys.argv[4])
_BATCH = "/{{ creation_response['batchId'] }}"


def requester(method: str, path: str, **more: object) -> dict[str, object]:
    """A requester of the account's batches."""
    return {
        "type": "HttpRequester",
        "url_base": f"{ORIGIN}/rest/5004/batches",
        "path": path,
        "http_method": method,
        "request_headers": {"X-Carma-Authentication-Token": "bench-token", "Accept": "application/json"},
        **more,
    }


MANIFEST = {
    "version": "7.0.0",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["exports"]},
    "max_concurrent_async_job_count": JOBS,
    "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "exports",
            "primary_key": [],
            "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": {}}},
            "retriever": {
                "type": "AsyncRetriever",
                "record_selector": {
                    "type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": []},
                },
                "status_extractor": {"type": "DpathExtractor", "field_path": ["status"]},
                "status_mapping": {
                    "type": "AsyncJobStatusMap",
                    "running": ["PENDING"],
                    "completed": ["FINISHED"],
                    "failed": ["ERROR"],
                    "timeout": ["TIMEOUT"],
                },
                "creation_requester": requester(
                    "POST", "/exports/statistics", request_body_json={"exportType": "OPENS", "period": "LAST_DAY"}
                ),
                "polling_requester": requester("GET", _BATCH),
                "download_requester": requester("GET", f"{_BATCH}/result"),
                "download_decoder": {"type": "JsonDecoder"},
                "partition_router": {
                    "type": "ListPartitionRouter",
                    "cursor_field": "job",
                    "values": [str(number) for number in range(JOBS)],
                },
            },
        }
    ],
}


def main() -> None:
    """Read once."""
    stream = {"name": "exports", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    chosen = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    arguments = ["read"]
    contents = {"config": {"__injected_declarative_manifest": MANIFEST}, "catalog": {"streams": [chosen]}, "state": []}
    for name, content in contents.items():
        path = FOLDER.parent / f"{FOLDER.name}-{name}.json"
        path.write_text(json.dumps(content))
        arguments += [f"--{name}", str(path)]
    records = 0
    began = time.process_time()
    source = create_declarative_source(arguments)
    with (FOLDER / "records").open("w") as file:
        for line in AirbyteEntrypoint(source).run(AirbyteEntrypoint.parse_args(arguments)):
            if '"type":"RECORD"' in line:
                records += 1
                file.write(line)
    took = time.process_time() - began
    assert records == JOBS, records
    print(f"{took:.3f}")


main()
