"""A small spec to vary, and sample jobs and replies."""

import json
from collections.abc import Mapping
from textwrap import dedent

from tidewaiter.domain.http_values import Json, WireReply
from tidewaiter.domain.job import Job, State
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.checks.spec_lint import read_spec
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.provider_registry import Registry

NOW = 1_700_000_000.0
BASE = "https://api.example.com/v1"

HEAD = """
name = "demo"
title = "Demo"
base_url = "${account.server}/v1"
error = "error"

[account]
server = { type = "url", help = "the server", default = "https://api.example.com" }
"""

SUBMIT = """
[operations.report]
title = "Report"

[operations.report.submit]
url = "/reports"
handle = "id"
"""

POLL = """
[operations.report.poll]
url = "/reports/${handle}"

[[operations.report.poll.rules]]
word = "status"
words = { pending = "pending", done = "ready" }
"""

RESULTS = """
[operations.report.results]
url = "/reports/${handle}/file"
"""

WHOLE = HEAD + SUBMIT + POLL + RESULTS


MODE = """
mode = { help = "the mode", enum = ["fast", "slow"], default = "fast" }
token = { help = "the token", secret = true }
note = { help = "a note", required = false }
"""
PARAMS = """
[operations.report.params]
kind = { help = "the kind", enum = ["a", "b"], default = "a" }
group = { help = "the group", when = { kind = "b" } }
hint = { help = "a hint", required = false }
"""
REQUEST = 'url = "/reports"'
POLL_URL = 'url = "/reports/${handle}"\n'


def changed(old: str, new: str, text: str = WHOLE) -> str:
    """A spec's text with one thing changed, which must be there."""
    assert old in text
    return text.replace(old, new, 1)


def with_settings(more: str) -> str:
    """The small spec with more settings."""
    return HEAD + more + SUBMIT + POLL + RESULTS


def provider_of(text: str = WHOLE) -> Provider:
    """The provider that a spec's text describes; the text must be without fault."""
    spec, faults = read_spec("demo.toml", dedent(text))
    assert spec is not None, "\n".join(map(str, faults))
    return Provider(spec, text, "demo.toml")


def operation_of(text: str = WHOLE, settings: Mapping[str, Json] | None = None) -> BoundOperation:
    """The only operation of a spec's text, bound to an account."""
    (operation,) = provider_of(text).bind("shop", settings or {}).operations.values()
    return operation


def built_in(name: str, settings: Mapping[str, Json], operation: str) -> BoundOperation:
    """An operation of the catalogue, bound to an account."""
    return Registry.load().get(name).bind("shop", settings).operations[operation]


def faults_of(text: str) -> list[str]:
    """The faults of a spec's text as an operator reads them."""
    return [str(fault) for fault in read_spec("demo.toml", dedent(text))[1]]


def job_with(handle: str | None = "42", params: Mapping[str, Json] | None = None, intent: str | None = "key-1") -> Job:
    """A job that waits for its remote job."""
    return Job(
        id=7,
        lane=1,
        account="shop",
        operation="report",
        params=params or {},
        state=State.POLLING,
        version=1,
        due_at=NOW,
        created_at=NOW,
        deadline_at=NOW + 60,
        intent_key=intent,
        handle=handle,
    )


def reply_of(status: int = 200, body: object = b"", url: str = "", **headers: str) -> WireReply:
    """A reply; a body that is no bytes is written as JSON, and ``_`` in a header's name stands for ``-``."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WireReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, data, url)
