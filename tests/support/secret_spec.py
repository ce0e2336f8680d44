"""A provider whose operation takes a secret parameter, and a configuration that uses it."""

from pathlib import Path
from typing import Final

CANARY: Final = "canary+secret/42"
SPEC: Final = """
name = "vault"
title = "An API with passwords"
base_url = "http://127.0.0.1:9"
[account]
token = { secret = true, help = "the token" }
[auth]
type = "bearer"
token = "${account.token}"
[operations.report]
title = "Report"
[operations.report.params]
day = { help = "which day" }
password = { secret = true, help = "what opens the file", required = false, max_length = 60 }
[operations.report.submit]
url = "/reports"
json = { day = "${params.day}", password = "${params.password}" }
handle = "id"
[operations.report.poll]
url = "/reports/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready", broken = "failed" } }]
[operations.report.results]
url = "/reports/${handle}/file"
"""
ACCOUNT: Final = """
[accounts.safe]
provider = "vault"
[accounts.safe.settings]
token = "canary-token"
[schedules.sealed]
account = "safe"
operation = "report"
cron = "15 4 * * *"
params = { day = "${yesterday}", password = "CANARY" }
""".replace("CANARY", CANARY)


def write_spec(folder: Path) -> None:
    """Put the spec into a folder of specs."""
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "specs" / "vault.toml").write_text(SPEC)
