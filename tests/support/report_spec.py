"""The spec of a small API that takes reports: submit, poll by the word ``status``, download one file."""

from typing import Final

HEAD: Final = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
[account]
server = { type = "url", help = "the server" }
[operations.report]
title = "Report"
"""
"""Up to the tables of the one operation; more of its keys may follow."""

SUBMIT: Final = """
[operations.report.submit]
url = "/reports"
handle = "id"
"""

POLL: Final = """
[operations.report.poll]
url = "/reports/${handle}"
[[operations.report.poll.rules]]
word = "status"
words = { working = "pending", ready = "ready" }
"""

RESULTS: Final = """
[operations.report.results]
url = "/reports/${handle}/file"
"""
