"""What happens only in a bucket: unknown outcomes, other writers, and a server that is down."""

import asyncio
import io
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.faulty_network import Losses, losing
from tests.storage.inspected_storage import in_place
from tests.storage.landings import send, sha256
from tests.support import s3
from tidewaiter.clock import SystemClock
from tidewaiter.log import configure
from tidewaiter.storage.base import StorageError, StorageUnavailableError
from tidewaiter.storage.bucket import PART_BYTES, Bucket, connect
from tidewaiter.storage.bucket_storage import ObjectStorage
from tidewaiter.worker.storage_gate import StorageGate

KEY = "shop/statistics/7/result.csv"
SMALL = b"a,b\n1,2\n"
LARGE = random.Random(3).randbytes(2 * PART_BYTES + 12_345)
REPOSITORY = Path(__file__).parents[2]

both_sizes = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])


def opened(bucket: s3.Bucket, **options: str | bool) -> ObjectStorage:
    """A storage in a bucket, reached in another way than the usual."""
    return ObjectStorage(Bucket(connect(f"s3://{bucket.name}", {**bucket.server.options, **options})), in_place)


async def land(storage: ObjectStorage, content: bytes) -> None:
    """Land a file, as the fetcher does."""
    landing = await storage.open(KEY, 7, 0)
    await send(landing, content)
    landed = await landing.finish()
    assert (landed.size, landed.sha256) == (len(content), sha256(content))


# --- outcomes that nobody knows -------------------------------------------------------------------------------------


@pytest.mark.fault(46)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "request_line"),
    [(SMALL, "PUT /{}/" + KEY), (LARGE, "POST /{}/" + KEY + "?uploadId=")],
    ids=["put", "complete"],
)
@pytest.mark.parametrize("replies", [1, 10])
async def test_an_upload_whose_outcome_is_unknown(
    bucket: s3.Bucket, content: bytes, request_line: str, replies: int
) -> None:
    """The store has the object, the reply is lost, and the repeated request is refused: it is ours."""
    losses = Losses(request_line.format(bucket.name).encode(), replies)
    async with losing(bucket.server.port, losses) as origin:
        await land(opened(bucket, endpoint=origin), content)
    assert losses.lost
    assert bucket.listing() == [KEY]
    assert bucket.read(KEY) == content
    assert bucket.uploads() == 0


@both_sizes
async def test_another_writer_of_the_same_bytes(bucket: s3.Bucket, objects: ObjectStorage, content: bytes) -> None:
    """A second writer that comes to the very same bytes has landed too; nothing is written twice."""
    first, second = await objects.open(KEY, 7, 0), await objects.open(KEY, 7, 0)
    for landing in (first, second):
        await send(landing, content)
    assert await first.finish() == await second.finish()
    assert bucket.uploads() == 0


@both_sizes
@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("before", [None, b"landed before"])
async def test_another_writer_of_other_bytes(
    bucket: s3.Bucket, content: bytes, conditional: bool, before: bytes | None
) -> None:
    """What came under the key since the landing began is not overwritten; a new try takes its place knowingly.

    On a store without conditional requests too, where the look before stands for the condition.
    """
    storage = opened(bucket, conditional_put=conditional)
    if before is not None:
        bucket.put(KEY, before)
    landing = await storage.open(KEY, 7, 0)
    await send(landing, content)
    bucket.put(KEY, b"of another writer")
    with pytest.raises(StorageError, match=f"^Could not (write|publish) {KEY}: another writer"):
        await landing.finish()
    assert bucket.read(KEY) == b"of another writer"
    assert bucket.uploads() == 0
    await land(storage, content)
    assert bucket.read(KEY) == content


async def test_other_bytes_of_the_same_size(bucket: s3.Bucket, objects: ObjectStorage) -> None:
    """Only the checksum tells who wrote an object, never its size."""
    landing = await objects.open(KEY, 7, 0)
    await landing.write(b"ours")
    bucket.put(f"pre/fix/{KEY}", b"else")
    with pytest.raises(StorageError):
        await landing.finish()
    assert bucket.read(f"pre/fix/{KEY}") == b"else"


@pytest.mark.parametrize("size", [100, len(LARGE)], ids=["small", "large"])
async def test_reading_back(bucket: s3.Bucket, size: int) -> None:
    """A store that is sent no checksum has its object read again, and what was damaged on its way is found out."""
    url, options = f"s3://{bucket.name}", bucket.server.options
    async with losing(bucket.server.port, Losses(b"", 0), damaged=b"o" * 8) as origin:
        storage = ObjectStorage(Bucket(connect(url, {**options, "endpoint": origin}), reads_back=True), in_place)
        landing = await storage.open(KEY, 7, 0)
        await send(landing, b"o" * size)
        with pytest.raises(StorageError, match="the stored object is not what was sent"):
            await landing.finish()
    await land(ObjectStorage(Bucket(connect(url, options), reads_back=True), in_place), b"o" * size)
    assert bucket.read(KEY) == b"o" * size


# --- ends without a word --------------------------------------------------------------------------------------------

UPLOADING = """
import asyncio, json, sys
from tidewaiter.storage.bucket import Bucket, connect
from tidewaiter.storage.bucket_storage import ObjectStorage
from tidewaiter.storage.base import StorageThreads

async def main(url, options, size, finish):
    with StorageThreads() as threads:
        landing = await ObjectStorage(Bucket(connect(url, options)), threads).open("KEY", 7, 0)
        for _ in range(size):
            await landing.write(bytes(2**20))
        if finish:
            await landing.finish()
        print("here", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*json.loads(sys.argv[1])))
""".replace("KEY", KEY)


def killed_uploader(bucket: s3.Bucket, mebibytes: int, *, finish: bool) -> None:
    """A process that uploads so much, publishes it or not, and is killed before it can say so to anybody."""
    arguments = json.dumps([f"s3://{bucket.name}", bucket.server.options, mebibytes, finish])
    with subprocess.Popen([sys.executable, "-c", UPLOADING, arguments], cwd=REPOSITORY, stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"here\n"
        one.send_signal(signal.SIGKILL)


@pytest.mark.fault(4)
@pytest.mark.slow
@pytest.mark.parametrize("mebibytes", [1, 40])
async def test_killed_between_upload_and_commit(bucket: s3.Bucket, mebibytes: int) -> None:
    """The next daemon lands the file again in the same place: there is no second one."""
    await asyncio.to_thread(killed_uploader, bucket, mebibytes, finish=True)
    assert bucket.listing() == [KEY]
    await land(opened(bucket), LARGE)
    assert bucket.listing() == [KEY]
    assert bucket.read(KEY) == LARGE


@pytest.mark.fault(3, 44)
@pytest.mark.slow
async def test_killed_in_an_upload(bucket: s3.Bucket) -> None:
    """Nothing shows under the key, and the file starts over; the parts wait for the bucket's lifecycle rule."""
    await asyncio.to_thread(killed_uploader, bucket, 40, finish=False)
    assert bucket.listing() == []
    assert bucket.uploads() == 1
    await land(opened(bucket), LARGE)
    assert bucket.listing() == [KEY]
    assert bucket.uploads() == 1


@pytest.mark.parametrize("blocks", [1, 12, 30])
async def test_a_download_that_is_cancelled(bucket: s3.Bucket, objects: ObjectStorage, blocks: int) -> None:
    """A landing that is cancelled during a write and then ended leaves nothing behind."""
    begun = asyncio.Event()

    async def download() -> None:
        landing = await objects.open(KEY, 7, 0)
        try:
            for number in range(1000):
                await landing.write(bytes(2**20))
                if number == blocks:
                    begun.set()
        finally:
            await landing.checkpoint('"etag"')

    downloading = asyncio.create_task(download())
    await begun.wait()
    downloading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await downloading
    assert (bucket.listing(), bucket.uploads()) == ([], 0)


STREAMING = """
import asyncio, json, sys
from pathlib import Path
from tidewaiter.storage.bucket import Bucket, connect
from tidewaiter.storage.bucket_storage import ObjectStorage
from tidewaiter.storage.base import StorageThreads

def peak():
    # Not getrusage, which counts what the parent had when it forked.
    line, = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024

async def main(url, options):
    with StorageThreads() as threads:
        storage = ObjectStorage(Bucket(connect(url, options)), threads)
        await storage.check()
        before = peak()
        landing = await storage.open("KEY", 7, 0)
        for number in range(200 * 16):
            await landing.write(number.to_bytes(2, "big") * 2**15)
        landed = await landing.finish(size=200 * 2**20)
        print(json.dumps([peak() - before, landed.sha256]))

asyncio.run(main(*json.loads(sys.argv[1])))
""".replace("KEY", KEY)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the peak of one process")
async def test_memory_is_bounded(bucket: s3.Bucket) -> None:
    """Two hundred mebibytes go through a buffer of a few parts."""
    arguments = json.dumps([f"s3://{bucket.name}", bucket.server.options])
    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", STREAMING, arguments],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    grown_mib, checksum = json.loads(run.stdout)
    content = b"".join(number.to_bytes(2, "big") * 2**15 for number in range(200 * 16))
    assert checksum == sha256(content)
    assert bucket.read(KEY) == content
    assert grown_mib < 80


# --- away -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lone_s3(tmp_path: Path) -> Iterator[s3.S3Server]:
    """A server that this test may kill."""
    with s3.running_s3(tmp_path / "server.log") as server:
        yield server


class Hurried(SystemClock):
    """The machine's clock for somebody who does not like to wait."""

    async def sleep(self, seconds: float) -> None:
        """Wait a thousandth of that."""
        await super().sleep(seconds / 1000)


@pytest.mark.fault(43)
@pytest.mark.slow
async def test_a_server_that_goes_away(lone_s3: s3.S3Server) -> None:
    """A download fails as on a full disk, the gate shuts, and opens by itself once the server is back."""
    storage = opened(lone_s3.bucket("exports"))
    landing = await storage.open(KEY, 7, 0)
    await send(landing, LARGE)
    await asyncio.to_thread(lone_s3.kill)
    with pytest.raises(StorageUnavailableError, match=f"^Could not (write|publish) {KEY}: ") as caught:
        await landing.finish()
    await landing.discard()
    gate = StorageGate(storage, Hurried(), configure("json", "error", stream=io.StringIO()))
    gate.close(str(caught.value))
    watching = asyncio.create_task(gate.run())
    for call in (storage.open(KEY, 7, 0), storage.put(KEY, b""), storage.find(KEY), storage.check()):
        with pytest.raises(StorageUnavailableError):
            await call
    assert not gate.open.is_set()
    await asyncio.to_thread(lone_s3.start)
    bucket = lone_s3.bucket("exports")
    await asyncio.wait_for(gate.open.wait(), 60)
    watching.cancel()
    await land(storage, LARGE)
    assert bucket.read(KEY) == LARGE
