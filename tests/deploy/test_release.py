"""A release: reproducible bytes, a complete bill of materials, and a check for known vulnerabilities."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.deploy.files import DEPLOY, instructions
from tests.support.doc_pages import ROOT
from tidewaiter import __version__

LOCKS = ROOT / "config/locks"
BIN = Path(sys.executable).parent
SOURCES = ("app", "migrations", "docs/man", "LICENSE", "README.md", "pyproject.toml")


def _copy_of_sources(target: Path) -> Path:
    for name in SOURCES:
        source, copy = ROOT / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, copy)
    return target


def _wheel(folder: Path, umask: int) -> bytes:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel"],
        cwd=folder, umask=umask, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )  # fmt: skip
    (built,) = (folder / "dist").glob("*.whl")
    return built.read_bytes()


@pytest.mark.slow
def test_a_wheel_is_built_twice_to_the_same_bytes(tmp_path: Path) -> None:
    """Neither the folder, nor the times of the files, nor the umask of the builder is in it."""
    os.umask(before := os.umask(0))
    first = _copy_of_sources(tmp_path / "first")
    os.umask(0o077)
    try:
        second = _copy_of_sources(tmp_path / "elsewhere/second")
    finally:
        os.umask(before)
    for path in second.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert _wheel(first, 0o022) == _wheel(second, 0o077)


def _bill(file: Path) -> bytes:
    script = ROOT / "config/bill-of-materials.sh"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run([script, BIN / "cyclonedx-py", file], check=True, capture_output=True, env=environment)
    return file.read_bytes()


@pytest.mark.slow
def test_the_bill_of_materials_names_every_locked_library(tmp_path: Path) -> None:
    """With its version, as the lock file has it; and made twice it is the same to the byte."""
    text = _bill(tmp_path / "one.json")
    assert text == _bill(tmp_path / "folder/two.json")
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == (
        "tidewaiter", __version__,
    )  # fmt: skip
    locked = re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", (LOCKS / "runtime.txt").read_text(), re.MULTILINE)
    assert len(locked) > 20
    assert {(one["name"], one["version"]) for one in bill["components"]} == set(locked)


def test_the_image_holds_the_bill_of_materials() -> None:
    """It is written into the environment that the image copies, by the script that `make build` runs."""
    runs = [rest for instruction, rest in instructions() if instruction == "RUN"]
    assert any(
        "config/bill-of-materials.sh" in one and "/opt/venv/share/sbom/tidewaiter.cdx.json" in one for one in runs
    )


def test_the_base_image_can_be_pinned_by_its_digest(tmp_path: Path) -> None:
    """Every stage takes the same argument, and the script that builds passes it on."""
    stages = [rest for instruction, rest in instructions() if instruction == "FROM"]
    assert stages
    assert all(one.startswith("python:${PYTHON}") for one in stages)
    shim = tmp_path / "podman"
    shim.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    shim.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHON_IMAGE": "3.13-slim@sha256:00"}
    ended = subprocess.run(
        [DEPLOY / "build-image.sh"], env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "PYTHON=3.13-slim@sha256:00" in ended.stdout.splitlines()


# --- what is known against the libraries ------------------------------------------------------------------------------


class Database:
    """A vulnerability database with the interface of OSV: https://google.github.io/osv.dev/post-v1-query/."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.against: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        query: dict[str, Any] = await request.json()
        name = query["package"]["name"]
        self.asked.append(name)
        if name != self.against:
            return web.json_response({})
        fault = {
            "id": "GHSA-xxxx-test-fault", "summary": "it gives way", "published": "2026-01-01T00:00:00Z",
            "affected": [{"package": query["package"], "ranges": [], "versions": [query["version"]]}],
        }  # fmt: skip
        return web.json_response({"vulns": [fault]})


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """The database, answering on loopback."""
    database = Database()
    application = web.Application()
    application.router.add_post("/v1/query", database.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    database.url = f"http://127.0.0.1:{port}/v1/query"
    yield database
    await runner.cleanup()


async def _audited(url: str, home: Path) -> tuple[int, str, str]:
    # A cache of its own, or one run would answer for the next.
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home),
        "PIP_AUDIT": str(BIN / "pip-audit"), "OSV_URL": url,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        ROOT / "config/audit.sh", "config/locks/build.txt",
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.slow
async def test_an_audit_asks_about_every_locked_version(database: Database, tmp_path: Path) -> None:
    """Where nothing is known it says so."""
    code, out, _ = await _audited(database.url, tmp_path)
    locked = re.findall(r"^([a-z0-9._-]+)==", (LOCKS / "build.txt").read_text(), re.MULTILINE)
    assert (code, sorted(database.asked)) == (0, sorted(locked))
    assert "no vulnerability is known" in out


@pytest.mark.slow
async def test_an_audit_lists_what_is_known(database: Database, tmp_path: Path) -> None:
    """With the library and the number of the fault, and an exit code that stops a release."""
    database.against = "packaging"
    code, out, err = await _audited(database.url, tmp_path)
    assert code == 1
    assert re.search(r"packaging .*GHSA-xxxx-test-fault", out)
    assert "make lock" in err


@pytest.mark.slow
async def test_an_audit_that_asked_nobody_does_not_look_like_a_clean_one(tmp_path: Path) -> None:
    """A database that cannot be reached is no clean bill of health."""
    code, out, err = await _audited("http://127.0.0.1:9/v1/query", tmp_path)
    assert (code, out) == (69, "")
    assert "this run shows nothing" in err
