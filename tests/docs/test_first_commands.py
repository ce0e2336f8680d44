"""The commands of README and quick start, in order and as they stand, in a stranger's shell: a file lands."""

import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.doc_pages import ROOT, blocks
from tests.support.ports import free_port

_INSTALL: Final = "uv tool install ."
_READY: Final = {"tidewaiter emulate": "Ctrl-C ends it", "tidewaiter serve": '"daemon.started"'}
"""Commands that run until Ctrl-C, and what they print once they are ready: what follows is for another terminal."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What is typed into one terminal; ``ready`` is what its last command prints, if that one keeps running."""

    script: str
    ready: str | None


def terminals_of(page: Path, heading: str) -> Iterator[Terminal]:
    """The commands of a page from a heading on, after the line that installs it."""
    start = page.read_text().split(f"\n{heading}\n")[0].count("\n")
    found = [block.text for block in blocks(page, "sh") if block.line > start]
    assert found.pop(0).strip() == _INSTALL
    script = ""
    for text in found:
        script += text
        last = " ".join(text.strip().splitlines()[-1].split()[:2])
        if last in _READY:
            yield Terminal(script, _READY[last])
            script = ""
    yield Terminal(script, None)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("page", "heading"), [("README.md", "## Use it"), ("docs/quickstart.md", "## Install")])
def test_the_commands_of_a_page_land_a_file(page: str, heading: str, tmp_path: Path) -> None:
    """Each line ends with 0; the log says where the page is, and the page is there; the file is whole."""
    api, http = free_port(), free_port()
    environ = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "PYTHONUNBUFFERED": "1",
        "TIDEWAITER__HTTP__LISTEN": f"127.0.0.1:{http}",
    }
    printed = ""
    with ExitStack() as running:
        for one in terminals_of(ROOT / page, heading):
            script = one.script.replace("8100", str(api)).replace("8090", str(http))
            if one.ready is None:
                done = subprocess.run(
                    ["bash", "-ec", script], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, done.stdout + done.stderr
                printed += done.stdout
            else:
                printed += running.enter_context(_kept_running(script, one.ready, environ))
                if "emulate" in script:
                    _hurry(f"http://127.0.0.1:{api}")
        address = re.findall(r'"http.started".*"url":\s*"([^"]+)"', printed)
        assert address == [f"http://127.0.0.1:{http}/"]
        with urllib.request.urlopen(address[0], timeout=20) as reply:  # noqa: S310  # the daemon's own address
            assert b"<title>" in reply.read()
    assert "is succeeded" in printed
    (manifest, *_) = sorted((tmp_path / "tidewaiter/exports/symplify/statistics").rglob("manifest.json"))
    (file,) = json.loads(manifest.read_bytes())["artifacts"]
    assert hashlib.sha256((manifest.parent / file["name"]).read_bytes()).hexdigest() == file["sha256"]


@pytest.mark.parametrize(("page", "heading"), [("README.md", "## Use it"), ("docs/quickstart.md", "## Install")])
def test_lines_can_be_copied_into_any_shell(page: str, heading: str) -> None:
    """An interactive zsh takes no comment behind a command, and nothing is fetched by a name that is not ours."""
    terminals = list(terminals_of(ROOT / page, heading))
    assert [one.ready for one in terminals] == [*_READY.values(), None]
    for one in terminals:
        assert "#" not in one.script
        assert re.search(r"\b(pip|pipx|uv|uvx)\b", one.script) is None


@contextmanager
def _kept_running(script: str, ready: str, environ: dict[str, str]) -> Iterator[str]:
    """Commands of which the last keeps running while the block runs; yields what they print until it is ready."""
    *first, last = script.strip().splitlines()
    command: Sequence[str] = ["bash", "-ec", "\n".join([*first, f"exec {last}"])]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            printed = ""
            for line in process.stdout:
                printed += line
                if ready in line:
                    break
            assert ready in printed, printed
            yield printed
        finally:
            process.kill()


def _hurry(emulator: str) -> None:
    """Let the emulator finish its exports at once."""
    request = urllib.request.Request(  # noqa: S310  # the emulator's own address
        f"{emulator}/_control/variants",
        method="PATCH",
        data=b'{"build_s": 0}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310  # as above
        assert reply.status == 200
