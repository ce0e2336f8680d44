"""docs/client.md: every example runs against a whole daemon with an emulated provider, as a program of its own."""

import asyncio
import inspect
import json
import re
import sys
from pathlib import Path

import pytest

from tests.support.api_server import serving
from tests.support.daemon_in_process import open_daemon_setup
from tests.support.doc_pages import ROOT, blocks
from tests.support.ended_job import AT, FILE, JOB
from tests.support.ports import free_port
from tidewaiter import client
from tidewaiter.client import errors
from tidewaiter.clock import SystemClock
from tidewaiter.domain.notification import body_of
from tidewaiter.domain.webhook_signature import keys_of, signed_headers

PAGE = ROOT / "docs/client.md"
EXAMPLES = [block.text for block in blocks(PAGE, "python")]


async def _run(code: str, folder: Path) -> list[str]:
    """The lines that a program prints."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(program.communicate(), 60)
    assert program.returncode == 0, output.decode()
    return output.decode().splitlines()


@pytest.mark.slow
async def test_examples_run(tmp_path: Path, sqlite_url: str) -> None:
    """Each does what stands around it: files are fetched, a fault is shown, a trace is accepted."""
    exports, several, together, _, faults, traced, _ = EXAMPLES
    port, here = free_port(), tmp_path / "here"
    here.mkdir()
    async with open_daemon_setup(tmp_path, sqlite_url) as setup:
        nightly = '[schedules.nightly]\naccount = "newsletter"\noperation = "statistics"\ncron = "0 4 * * *"\n'
        nightly += 'timezone = "UTC"\n[schedules.nightly.params]\nexport_type = "OPENS"\n'
        setup.write(setup.account("newsletter"), nightly, f'[http]\nlisten = "127.0.0.1:{port}"\n')
        async with setup.serving():
            printed = [
                await _run(one.replace(":8090", f":{port}"), here)
                for one in (exports, several, faults, traced, together)
            ]
    assert [len(lines) for lines in printed[:2]] == [1, 2]
    names = {line.split()[0] for lines in printed[:2] for line in lines}
    assert {one.name for one in here.iterdir()} == names
    assert any(line.startswith("/params/period 'TOMORROW' is not permitted") for line in printed[2])
    assert printed[3] == []
    assert printed[4] == ["2 jobs: {'succeeded': 2}", "succeeded"]


@pytest.mark.slow
async def test_the_backfill(tmp_path: Path, sqlite_url: str) -> None:
    """It is made, waited for until the time is over, and shown."""
    example = EXAMPLES[3].replace("timeout_s=3600", "timeout_s=0").replace("export_type", "period")
    for name, other in (("newsletter", "quay"), ("statistics", "report"), ("OPENS", "LAST_DAY"), ('"day"', '"note"')):
        example = example.replace(name, other)
    async with serving(tmp_path, sqlite_url) as site:
        printed = await _run(example.replace("http://127.0.0.1:8090", site.base), tmp_path)
    assert printed == ["181 windows", "0 of 181 running"]


def test_the_receiver(capsys: pytest.CaptureFixture[str]) -> None:
    """A signed message is accepted, and another is refused."""
    names: dict[str, object] = {}
    exec(EXAMPLES[-1], names)  # noqa: S102  # the page's own
    receive, secret, body = names["receive"], names["SECRET"], body_of(JOB, AT, [FILE], 1).encode()
    assert callable(receive)
    assert isinstance(secret, str)
    headers = signed_headers(keys_of(secret), "msg_1", int(SystemClock().now()), body)
    assert receive(headers, body) == 204
    assert capsys.readouterr().out == "job.succeeded 7 ['acme/opens.csv']\n"
    assert receive(headers, body.replace(b'"id":7', b'"id":8')) == 401


def test_the_tables() -> None:
    """Every method and every exception is in its table, and no other; the members of an error are named."""
    text = PAGE.read_text()
    methods = set(re.findall(r"`(\w+)\(", "\n".join(line for line in text.splitlines() if line.startswith("| `"))))
    real = {name for name, _ in inspect.getmembers(client.Client, callable) if not name.startswith("_")}
    assert methods == real - {"close"} | {"require_success"}
    named = set(re.findall(r"^\| `(\w+Error)` \|", text, re.MULTILINE))
    assert named == {one.__name__ for one in errors.ApiError.__subclasses__()}
    for name in json.loads(json.dumps(list(vars(errors.ApiError(404, {}))))):
        assert f"`{name}`" in text or f"error.{name}" in text
