"""What a daemon in a test has logged."""

import io
import json


def log_lines(output: io.StringIO, *events: str) -> list[dict[str, object]]:
    """The lines of a JSON log, oldest first: all, or those of some events."""
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    return [line for line in lines if not events or line["event"] in events]
