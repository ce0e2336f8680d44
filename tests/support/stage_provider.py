"""A provider with requests before the submit and after it: its spec, and its answers."""

from tests.support.scripted_provider import Answer, answering

SPEC = """
gone_grace_s = 0

[[operations.report.before]]
name = "upload"
url = "/files"
json = { rows = "${params.rows}" }
keep = { file = "id" }

[[operations.report.before]]
name = "scan"
method = "GET"
url = "/files/${kept.file}"
rules = [{ word = "state", words = { scanning = "pending", clean = "done", bad = "refused" } }]

[operations.report.params]
rows = { help = "rows", default = "a" }
fast = { type = "boolean", help = "at once", default = false }

[operations.report.submit]
url = "/jobs"
json = { file = "${kept.file}" }
handle = "id"

[[operations.report.start]]
name = "enqueue"
url = "/jobs/${handle}/enqueue"
headers = { Idempotency-Key = "${intent.key}" }
keep = { queue = { header = "X-Queue", optional = true } }
rules = [{ status = 409, json = "error == 'is running'", then = "done" }]

[[operations.report.start]]
name = "hurry"
when = { params = { fast = true } }
repeatable = true
url = "/jobs/${handle}/hurry"
query = { queue = "${kept.queue}" }

[operations.report.cancel]
url = "/jobs/${handle}"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { running = "pending", done = "ready" } }]

[operations.report.results]
url = "/jobs/${handle}/file"
"""


def answers(**more: Answer) -> dict[str, Answer]:
    """A provider where everything goes well; more answers replace these, by their keys."""
    return {
        "POST /files": answering({"id": "f1"}),
        "GET /files/f1": answering({"state": "scanning"}, {"state": "clean"}),
        "POST /jobs": answering({"id": "j1"}),
        "POST /jobs/j1/enqueue": answering({}, headers={"X-Queue": "q 7"}),
        "POST /jobs/j1/hurry": answering({}),
        "GET /jobs/j1": answering({"state": "running"}, {"state": "done"}),
        "GET /jobs/j1/file": answering(b"a,b\n"),
        "DELETE /jobs/j1": answering({}),
        **more,
    }
