"""A real S3 server (moto) in its own process, which tests start, fill, read and kill."""

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

_START_S = 30.0
# It lets nobody read who does not claim to be somebody, and believes the claim.
_HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request",
    "Content-Type": "application/octet-stream",
}
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class S3Server:
    """A server on loopback; what it holds is gone when it is killed."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, str | bool]:
        """What a client must be told to reach it."""
        return {
            "endpoint": self.endpoint,
            "allow_http": True,
            "region": "us-east-1",
            "access_key_id": "tests",
            "secret_access_key": "canary-secret",
        }

    def start(self) -> None:
        """Start it, on the port of its last life; returns when it answers."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], stdout=log, stderr=log
            )
        until = time.monotonic() + _START_S
        while not (found := re.search(rb"Running on http://127\.0\.0\.1:(\d+)", self._log.read_bytes())):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.05)  # between two looks at what it has printed; the line above bounds them
        self.port = int(found[1])

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def bucket(self, name: str | None = None) -> "Bucket":
        """A new bucket, empty."""
        name = name or f"bucket-{next(self._names)}"
        self.ask("PUT", f"/{name}")
        return Bucket(self, name)

    def ask(self, method: str, path: str, content: bytes | None = None) -> bytes:
        """The body of the reply to one request."""
        request = urllib.request.Request(f"{self.endpoint}{path}", content, _HEADERS, method=method)  # noqa: S310  # ours
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
            body: bytes = reply.read()
        return body


class Bucket:
    """One bucket, as another client than ours sees it."""

    def __init__(self, server: S3Server, name: str) -> None:
        self.server = server
        self.name = name

    def listing(self) -> list[str]:
        """Every object's key, sorted."""
        listing = ET.fromstring(self.server.ask("GET", f"/{self.name}?list-type=2"))  # noqa: S314  # our own server
        return sorted(unquote(one.text or "") for one in listing.iter(f"{_NAMESPACE}Key"))

    def read(self, key: str) -> bytes:
        """An object's content."""
        return self.server.ask("GET", f"/{self.name}/{quote(key)}")

    def put(self, key: str, content: bytes) -> None:
        """Put an object there, as somebody else would."""
        self.server.ask("PUT", f"/{self.name}/{quote(key)}", content)

    def uploads(self) -> int:
        """How many uploads have been begun and neither completed nor aborted."""
        return self.server.ask("GET", f"/{self.name}?uploads").count(b"<UploadId>")


@contextmanager
def running_s3(log: Path) -> Iterator[S3Server]:
    """A server of one's own."""
    server = S3Server(log)
    try:
        yield server
    finally:
        server.kill()
