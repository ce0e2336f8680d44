"""Specs: the API of a plan in the language of providers, made of the same tables that operators write."""

from tests.lying.plan import UNSUBMITTED, Plan

LAG_S = 40.0
DEADLINE_S = 3 * 3600.0

_HEAD = """
name = "{name}"
title = "A server that lies"
base_url = "${{account.server}}"
error = ["error", "message"]

[account]
server = {{ type = "url", help = "the server" }}
token = {{ help = "the token", secret = true, example = "made-up-token" }}

{auth}

[operations.report]
title = "Report"
repeatable = {repeatable}
{media}

[operations.report.schedule]
first_delay_s = 1
interval_s = 5
factor = 1.5
cap_s = 60
deadline_s = {deadline_s}
"""

_AUTH = {
    "bearer": '[auth]\ntype = "bearer"\ntoken = "${account.token}"',
    "session": """
[auth]
type = "session"
[auth.login]
url = "/login"
json = { key = "${account.token}" }
token = "token"
expires_in = "ttl"
[[auth.renew]]
status = 401
json = "error == 'token expired'"
""",
}

_SUBMIT = """
[operations.report.submit]
url = "/jobs"
headers = { Idempotency-Key = "${intent.key}" }
json = { kind = "all" }
handle = "id"
"""
_ADOPT = """
[operations.report.adopt]
url = "/jobs"
items = "jobs"
match = { key = "${intent.key}" }
handle = "id"
lag_s = 40
"""
_POLL = """
[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]
"""
_POLL_INLINE = """
[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ status = 202, then = "pending" }, { status = 200, then = "ready" }]
"""
_RESULTS = {
    "list": """
[operations.report.results]
[[operations.report.results.files]]
each = "files"
url = "url"
label = "name"
size = "bytes"
sha256 = "sha256"
md5 = "md5"
gzip = "packing == 'GZIP'"

[operations.report.cleanup]
url = "/jobs/${handle}"
by_default = true

[operations.report.cancel]
url = "/jobs/${handle}/cancel"
method = "POST"
""",
    "staged": """
[operations.report.before]
name = "prepare"
url = "/prepare"
json = { kind = "all" }
keep = { part = "id" }
[operations.report.start]
name = "begin"
url = "/jobs/${handle}/begin"
query = { part = "${kept.part}" }
[operations.report.results]
url = "/jobs/${handle}/file"
label = "report"
""",
    "url": '[operations.report.results]\nurl = "/jobs/${handle}/file"\nlabel = "report"\n',
    "resolve": """
[operations.report.results]
label = "report"
resolve = { url = "/jobs/${handle}/url", link = "url" }
""",
    "inline": '[operations.report.results]\ninline = true\nlabel = "report"\n',
    "atonce": """
[operations.report.submit]
method = "GET"
url = "/inline"
rules = [{ status = 200, then = "ready" }]
[operations.report.results]
inline = true
label = "report"
""",
    "pages": """
[operations.report.results.pages]
url = "/rows"
query = { limit = "${page.size}", offset = "${page.offset}" }
size = 3
items = "rows"
""",
    "linked": """
[operations.report.results.pages]
url = "/rows"
query = { size = "3" }
items = "rows"
next_url = { header = "Link", regex = '<([^>]+)>; rel="?next"?' }
""",
    "cursor": """
[operations.report.results.pages]
url = "/jobs/${handle}/rows"
query = { cursor = "${page.next}" }
items = "rows"
next = "next"
""",
    "csv": """
[operations.report.results.pages]
url = "/jobs/${handle}/rows"
query = { cursor = "${page.next}" }
join = "csv"
next = { header = "X-Next" }
""",
}


def spec_of(plan: Plan) -> str:
    """The text of the spec file for a plan; plans with the same ``spec`` have the same text."""
    media = plan.media if plan.shape not in ("pages", "linked", "cursor", "csv") else ""
    head = _HEAD.format(
        name=plan.spec,
        auth=_AUTH[plan.auth],
        repeatable="true" if plan.mode == "repeatable" else "false",
        media=f'media_type = "{media}"' if media else "",
        deadline_s=DEADLINE_S,
    )
    tables = [head]
    if plan.shape not in UNSUBMITTED and plan.shape != "atonce":
        tables.append(_SUBMIT)
        tables.append(_POLL_INLINE if plan.shape == "inline" else _POLL)
        tables += [_ADOPT] if plan.mode == "adopt" else []
    return "\n".join([*tables, _RESULTS[plan.shape]])
