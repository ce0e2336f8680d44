"""One file's download by the real downloader over the real wire, from a server that sends exact bytes."""

import hashlib
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.byte_servers import Answer, Server, serving
from tests.support.spec_samples import HEAD, POLL, SUBMIT, job_with, operation_of
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Limits, OperationPolicy
from tidewaiter.domain.file_identity import identities
from tidewaiter.domain.http_values import Credentials, Link
from tidewaiter.log import configure
from tidewaiter.storage.base import Storage, StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.transport.wire import Timeouts
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.authenticated_client import AuthenticatedClient
from tidewaiter.worker.file_download import Downloaded, Downloader
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.provider_session import ProviderSession

KEY = "shop/report/file.csv"
ROWS = b"".join(b"%d,%d\n" % (number, number * number) for number in range(5000))
ETAG = '"v1"'
SPEC = HEAD + SUBMIT + POLL + '[operations.report.results]\nurl = "/file"\n'


def head(status: int, *fields: str) -> bytes:
    """The head of a reply, with no field but these."""
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *fields]).encode("latin-1") + b"\r\n\r\n"


def whole(body: bytes, *fields: str, status: int = 200) -> bytes:
    """A reply with its length."""
    return head(status, f"Content-Length: {len(body)}", *fields) + body


def chunked(body: bytes, *fields: str, status: int = 200, size: int = 10_000) -> bytes:
    """A reply without a length."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head(status, "Transfer-Encoding: chunked", *fields) + data + b"0\r\n\r\n"


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def open_files(folder: Path) -> list[str]:
    """The files below a folder that this process has open, removed ones included."""
    opened = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            opened.append(str(descriptor.readlink()))
    return [name for name in opened if name.startswith(f"{folder}/")]


@dataclass(slots=True)
class DownloadSetup:
    """A server, and a downloader that lands its one file; ``output`` is the log."""

    server: Server
    downloader: Downloader
    session: ProviderSession
    job_log: JobLog
    root: Path
    spec: str = SPEC
    output: io.StringIO = field(default_factory=io.StringIO)

    async def get(self, path: str = "/file", **announced: object) -> Downloaded | o.Outcome:
        """What comes of one download of the file."""
        link = Link(f"{self.server.origin}{path}", "rows.csv", **announced)  # type: ignore[arg-type]
        operation = operation_of(self.spec, {"server": self.server.origin})
        return await self.downloader.download(
            job_with(), operation, self.session, link, key=KEY, identity=identities((link,))[0]
        )

    async def lands(self, **announced: object) -> bytes:
        """The file, which must land."""
        got = await self.get(**announced)  # type: ignore[arg-type]
        assert isinstance(got, Downloaded), got
        data = (self.root / KEY).read_bytes()
        assert (got.landed.size, got.landed.sha256) == (len(data), sha256(data))
        return data

    async def fails(self, **announced: object) -> o.Outcome:
        """Why the file does not land."""
        got = await self.get(**announced)  # type: ignore[arg-type]
        assert not isinstance(got, Downloaded), (self.root / KEY).read_bytes()[:80]
        assert not (self.root / KEY).exists()
        return got

    @property
    def ranges(self) -> list[str | None]:
        """The Range of every request so far."""
        return [asked.headers.get("range") for asked in self.server.asked]


Store = Callable[[Path, StorageThreads], Storage]


@asynccontextmanager
async def downloading(
    folder: Path,
    answer: Answer,
    *,
    largest_bytes: int = 2**30,
    spec: str = SPEC,
    timeouts: Timeouts | None = None,
    store: Store = LocalStorage,
) -> AsyncIterator[DownloadSetup]:
    """A download setup for a server that answers like this."""
    clock, output = SystemClock(), io.StringIO()
    log = configure("json", "info", [], stream=output, strict=True)
    jobs = JobStore(Database.open(f"sqlite:///{folder}.db", clock))  # never opened: no job ends here
    with StorageThreads() as threads:
        async with serving(answer) as server, AiohttpWire() as wire:
            budget = Budget(clock, Random(1), Limits())
            client = AccountClient(
                wire,
                ClientSettings(server.origin, True, 65_536, timeouts or Timeouts()),
                Credentials(),
                budget,
            )
            observer = AccountObserver("shop", Lease(1, 1, clock, 60.0), budget, clock=clock, log=log)
            signed = AuthenticatedClient(
                client, None, budget=budget, observer=observer, clock=clock, rand=Random(1), log=log
            )
            session = ProviderSession(signed, OperationPolicy())
            job_log = JobLog(log, clock, jobs)
            downloader = Downloader(store(folder, threads), clock, job_log, largest_bytes)
            yield DownloadSetup(server, downloader, session, job_log, folder, spec, output)
    log.close()
