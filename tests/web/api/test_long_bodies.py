"""Long bodies are parsed at once, and not on the event loop."""

import time

from tidewaiter.web.api import body_schemas, request_input


def test_values_that_were_read_as_json_are_not_looked_at_again() -> None:
    """Seen: 480,000 values took a quarter of a second on the event loop, after the thread that had read them."""
    raw = b'{"account":"a","operation":"o","params":{"x":[' + b"1," * 480_000 + b"1]}}"
    began = time.thread_time()
    document = request_input.parse_json(raw)
    parsed = time.thread_time()
    job = request_input.check_shape(document, body_schemas.NewJobBody)
    assert time.thread_time() - parsed < (parsed - began) / 3
    assert len(job.params["x"]) == 480_001  # type: ignore[arg-type]  # a list
