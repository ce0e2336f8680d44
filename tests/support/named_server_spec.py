"""A provider whose login names the server of the account."""

SPEC = """
[origins.instances]
url = "${account.server}"

[auth]
type = "session"
login = { url = "${account.server}/login", token = "token", keep = { instance = "instance_url" } }

[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"
rules = [{ word = "state", words = { WORKING = "pending", DONE = "ready" } }]

[operations.report.results]
url = "/reports/${handle}/file"
"""
