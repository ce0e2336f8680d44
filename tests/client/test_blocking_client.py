"""The client without asyncio, against a whole daemon; and what its import brings along."""

import asyncio
import inspect
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.http_process import answers, configured, process
from tests.support.scripted_provider import open_provider
from tidewaiter.client import AsyncClient, Client, NotFoundError, require_success


def _exported(url: str, folder: Path) -> tuple[Path, list[int]]:
    """An export from the request to its file, as a program without asyncio makes it."""
    with Client(url) as client:
        job = client.submit("shop", "report", unique_key="night")
        with ThreadPoolExecutor(2) as threads:
            ended, same = threads.map(client.wait, [job.id, job.id])
        assert ended == same
        (file,) = client.files(require_success(ended).id)
        assert b"".join(client.stream(file)) == b"the report"
        with pytest.raises(NotFoundError):
            client.job(999)
        assert [one.id for one in client.as_ended([job.id])] == [job.id]
        jobs = client.jobs()
        next(jobs)
        jobs.close()
        return client.download(file, folder), [one.id for one in client.jobs(account="shop")]


@pytest.mark.slow
async def test_an_export(tmp_path: Path, sqlite_url: str) -> None:
    """Submit, wait in two threads, and fetch; no thread is left."""
    async with open_provider(answers()) as provider, process(configured(tmp_path, sqlite_url, provider.url)) as daemon:
        await daemon.until("/readyz", 200)
        path, numbers = await asyncio.to_thread(_exported, daemon.url, tmp_path)
    assert (path.name, path.read_bytes(), len(numbers)) == ("file", b"the report", 1)
    assert "tidewaiter-client" not in {thread.name for thread in threading.enumerate()}


def test_it_has_every_method() -> None:
    """A method of one client is one of the other, with the same description."""
    for name, method in inspect.getmembers(AsyncClient, inspect.isfunction):
        if not name.startswith("_"):
            assert hasattr(Client, name), name
            assert name == "close" or inspect.getdoc(getattr(Client, name)) == inspect.getdoc(method)


def test_closing_twice() -> None:
    """It is closed once."""
    client = Client("http://127.0.0.1:9")
    client.close()
    client.close()


def test_importing_it_brings_no_daemon() -> None:
    """A program gets aiohttp, pydantic and the shapes of the API; no database, no server, no command line."""
    code = "import sys, tidewaiter.client; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    ours = {name for name in loaded if name.startswith("tidewaiter.") and name.count(".") == 1}
    assert ours == {"tidewaiter.client", "tidewaiter.clock", "tidewaiter.domain", "tidewaiter.web"}
    assert not {"sqlalchemy", "alembic", "rich", "click", "structlog", "jinja2", "re2", "cryptography"} & set(loaded)
