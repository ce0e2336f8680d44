"""Specs: the API of a plan in the language of providers, made of the same tables that operators write."""

from tests.lying.mechanisms import ASKED_OF_FILES, ASKED_OF_POLLS, TEXT
from tests.lying.plan import ARCHIVES, PAGED, UNSUBMITTED, Plan

LAG_S = 40.0
DEADLINE_S = 3 * 3600.0

_HEAD = """
name = "{name}"
title = "A server that lies"
base_url = "${{account.server}}"
error = {error}
{reply}

[limits]
requests = 10000
period_s = 60
[limits.headers]
remaining = "X-Remaining"
reset = "X-Reset"
reset_is = "seconds"

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
    "hmac": '''
[auth]
type = "hmac"
key = "${account.token}"
algorithm = "sha256"
string_to_sign = """
${request.method}
${request.target}
${time.epoch}
${nonce}
${request.body_sha256}"""
[auth.headers]
X-Date = "${time.epoch}"
X-Nonce = "${nonce}"
Authorization = "HMAC ${signature}"
''',
}

_SUBMIT = """
[operations.report.submit]
url = "/jobs"
headers = { Idempotency-Key = "${intent.key}" }
handle = "PREFIXid"
BODY
"""
_BODIES = {
    "taken": """json = { kind = "all" }
rules = [{ status = 409, json = "error == 'TAKEN'", then = "duplicate" }]""",
    "again": """json = { kind = "all" }
rules = [{ status = 409, json = "error == 'BUSY'", then = "again" }]""",
    "multipart": """
[operations.report.submit.multipart]
fields = { kind = "all" }
files = { name = "file", from_file = "ask.csv", content_type = "text/csv" }
""",
    "xml": f"text = '''{TEXT}'''",
}
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
rules = [{ word = "PREFIXstate", words = { busy = "pending", done = "ready", lost = "again" } }]
"""
_POLL_ADDED = """
[operations.report.poll]
url = "/jobs/${handle}"
query = { after = "${kept.seen}" }
keep = { seen = { json = "seen", optional = true } }
rules = [{ word = "state", words = { busy = "pending", done = "ready" } }]
"""
_POLL_POSTED = f"""
[operations.report.poll]
url = "/jobs/${{handle}}"
method = "POST"
json = {{ ask = "{ASKED_OF_POLLS}" }}
rules = [{{ word = "state", words = {{ busy = "pending", done = "ready" }} }}]
"""
_POLL_INLINE = """
[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ status = 202, then = "pending" }, { status = 200, then = "ready" }]
"""
_LISTED = """
url = "url"
label = "name"
size = "bytes"
sha256 = "sha256"
md5 = "md5"
gzip = "packing == 'GZIP'"
"""
_RESULTS = {
    "list": f"""
[[operations.report.results.files]]
each = "files"
{_LISTED}"""
    + """
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
    "nested": """
[[operations.report.results.lists]]
url = "/jobs/${handle}/folders"
query = { cursor = "${page.next}" }
items = "folders"
next = "next"
values = { folder = "id" }
[[operations.report.results.lists]]
url = "/jobs/${handle}/folders/${item.folder}"
items = "files"
[operations.report.results.files]
"""
    + _LISTED,
    "early": f"""
[operations.report.results]
while_running = "files"
[[operations.report.results.files]]
each = "files"
{_LISTED}""",
    "added": f"""
[operations.report.results]
while_running = "files"
only_new = true
[[operations.report.results.files]]
each = "files"
{_LISTED}""",
    "named": f"""
[[operations.report.results.files]]
each = "files"
headers = "fields"
{_LISTED}""",
    "posted": f"""
[operations.report.results]
label = "report"
[operations.report.results.download]
url = "/jobs/${{handle}}/file"
method = "POST"
json = {{ ask = "{ASKED_OF_FILES}" }}
""",
    "xml": f"""
[[operations.report.results.files]]
each = "reply.files"
{_LISTED}""",
    "again": """
[operations.report.again]
times = 3
wait_s = 60
[operations.report.results]
url = "/jobs/${handle}/file"
label = "report"
""",
    "reuse": """
[operations.report.reuse]
url = "/made"
items = "made"
match = { kind = "all" }
where = "state == 'done'"
created = "at"
within_s = 7200.0
handle = "id"
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


_RESULTS |= {
    shape: f'{_RESULTS["url"]}unpack = "{unpack}"\n'
    for shape, unpack in (("zip", "zip"), ("tar", "tar.gz"), ("gzip", "gzip"))
}
_RESULTS["multipart"] = _RESULTS["taken"] = _RESULTS["url"]
_POLLS = {"inline": _POLL_INLINE, "added": _POLL_ADDED, "posted": _POLL_POSTED, "again": _POLL}


def spec_of(plan: Plan) -> str:
    """The text of the spec file for a plan; plans with the same ``spec`` have the same text."""
    is_joined = plan.shape in PAGED
    media = "" if is_joined else "text/csv" if plan.shape in ARCHIVES else plan.media
    prefix = "reply." if plan.shape == "xml" else ""
    head = _HEAD.format(
        name=plan.spec,
        error='"reply.error"' if prefix else '["error", "message"]',
        reply='[reply]\nformat = "xml"\nlists = ["reply.files"]' if prefix else "",
        auth=_AUTH[plan.auth],
        repeatable="true" if plan.mode == "repeatable" else "false",
        media=f'media_type = "{media}"' if media else "",
        deadline_s=DEADLINE_S,
    )
    tables = [head]
    if plan.shape not in UNSUBMITTED and plan.shape != "atonce":
        submit = _SUBMIT.replace("BODY", _BODIES.get(plan.shape, 'json = { kind = "all" }'))
        tables.append(submit.replace("PREFIX", prefix))
        tables.append(_POLLS.get(plan.shape, _POLL.replace(', lost = "again"', "")).replace("PREFIX", prefix))
        tables += [_ADOPT] if plan.mode == "adopt" else []
    return "\n".join([*tables, _RESULTS[plan.shape]])
