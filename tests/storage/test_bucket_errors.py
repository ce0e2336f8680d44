"""Error replies of object stores and their meaning, and stores that cannot be opened."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.storage.inspected_storage import in_place
from tests.support import s3
from tests.support.proxy_server import proxying
from tidewaiter.storage.base import StorageError, StorageFullError, StorageSetupError, StorageUnavailableError
from tidewaiter.storage.bucket import Bucket, connect
from tidewaiter.storage.bucket_storage import ObjectStorage
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.open_storage import open_storage
from tidewaiter.transport.proxies import Proxies, Proxy

KEY = "shop/statistics/7/result.csv"
REPOSITORY = Path(__file__).parents[2]
OPTIONS: dict[str, str | bool] = {
    "allow_http": True,
    "region": "eu-central-1",
    "access_key_id": "tests",
    "secret_access_key": "canary-secret",
}


@asynccontextmanager
async def refusing(status: int, code: str) -> AsyncIterator[ObjectStorage]:
    """A storage whose server answers to every write in the same way, and has nothing."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if request.method in ("GET", "HEAD"):
            return web.Response(status=404)
        body = f"<Error><Code>{code}</Code><Message>because of the test</Message></Error>"
        return web.Response(status=status, text=body, content_type="application/xml")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        options = {**OPTIONS, "endpoint": f"http://127.0.0.1:{port}"}
        yield ObjectStorage(Bucket(connect("s3://exports", options)), in_place)
    finally:
        await runner.cleanup()


async def land_zeros(storage: ObjectStorage, mebibytes: int) -> None:
    """Land a file of that size."""
    landing = await storage.open(KEY, 7, 0)
    for _ in range(mebibytes):
        await landing.write(bytes(2**20))
    await landing.finish()


@pytest.mark.parametrize(
    ("status", "code", "kind", "text"),
    [
        (507, "XMinioStorageFull", StorageFullError, "The storage is full: could not {} (507, XMinioStorageFull)."),
        (403, "QuotaExceeded", StorageFullError, "The storage is full: could not {} (403, QuotaExceeded)."),
        (403, "AccessDenied", StorageUnavailableError, "Could not {}: 403, AccessDenied (because of the test)."),
        (400, "ExpiredToken", StorageUnavailableError, "Could not {}: 400, ExpiredToken (because of the test)."),
        (404, "NoSuchBucket", StorageUnavailableError, "Could not {}: 404, NoSuchBucket (because of the test)."),
        (400, "EntityTooLarge", StorageError, "Could not {}: 400, EntityTooLarge (because of the test)."),
        (404, "NoSuchUpload", StorageError, "Could not {}: 404, NoSuchUpload (because of the test)."),
    ],
)
@pytest.mark.parametrize("mebibytes", [1, 20])
async def test_what_a_refusal_means(
    status: int, code: str, kind: type[StorageError], text: str, mebibytes: int
) -> None:
    """A quota is a full storage, what ails the whole bucket pauses downloads, and the rest is one file's trouble."""
    async with refusing(status, code) as storage:
        with pytest.raises(StorageError) as caught:
            await land_zeros(storage, mebibytes)
    assert type(caught.value) is kind
    assert str(caught.value) == text.format(f"write {KEY}")


async def test_a_server_that_fails() -> None:
    """After a few tries it is not the file's fault."""
    async with refusing(503, "SlowDown") as storage:
        with pytest.raises(StorageUnavailableError, match="503, SlowDown"):
            await storage.put(KEY, b"")


async def test_nobody_is_there() -> None:
    """The reason is told in a few words, without the address and its query."""
    storage = ObjectStorage(Bucket(connect("s3://exports", {**OPTIONS, "endpoint": "http://127.0.0.1:9"})), in_place)
    with pytest.raises(StorageUnavailableError) as caught:
        await storage.check()
    assert str(caught.value) == "Could not write a probe: HTTP error: error sending request."


@pytest.mark.fault(59)
async def test_the_environments_proxy_is_not_asked(bucket: s3.Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy counts only where it is configured."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url, options = f"s3://{bucket.name}", bucket.server.options
    await ObjectStorage(Bucket(connect(url, options)), in_place).put(KEY, b"a,b")
    assert bucket.listing() == [KEY]
    with pytest.raises(StorageUnavailableError):
        await ObjectStorage(Bucket(connect(url, {**options, "proxy_url": "http://127.0.0.1:9"})), in_place).check()


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("s3://exports", {"root_certificate": "canary"}, "No certificates found"),
        ("az://exports", {}, "Account must be specified"),
        ("gs://exports", {"service_account_key": "canary"}, "Unable to decode service account file"),
    ],
)
def test_options_that_cannot_be_used(
    url: str, options: dict[str, str | bool], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is told, and no value with it."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(StorageSetupError, match=reason) as caught, open_storage(None, url, options):
        pass
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://exports/of/the/shop", OPTIONS),
        ("gs://exports/of/the/shop", {}),
        ("az://exports/of/the/shop", {"account_name": "shop", "account_key": "Y2FuYXJ5"}),
    ],
)
def test_every_kind_of_bucket(url: str, options: dict[str, str | bool]) -> None:
    """A URL and its options are understood by the client of its kind."""
    with open_storage(None, url, options) as storage:
        assert isinstance(storage, ObjectStorage)


def test_a_folder(tmp_path: Path) -> None:
    """Where there is a folder, nothing of a bucket is needed."""
    with open_storage(tmp_path, None, {}) as storage:
        assert isinstance(storage, LocalStorage)


WITHOUT_OBSTORE = """
import sys
from pathlib import Path
sys.modules["obstore"] = None
from tidewaiter.storage.base import StorageSetupError
from tidewaiter.storage.open_storage import open_storage
from tidewaiter.transport.proxies import Proxies, Proxy
with open_storage(Path("exports"), None, {}):
    pass
try:
    with open_storage(None, "s3://exports", {}):
        pass
except StorageSetupError as error:
    print(error)
"""


def test_without_the_extra(tmp_path: Path) -> None:
    """A folder needs no obstore, and a bucket says what to install."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_OBSTORE], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert run.stdout == (
        "object storage needs the extra `object`; in a clone, `uv tool install --force '.[object]'` brings it\n"
    )


async def test_a_proxy_of_the_network(bucket: s3.Bucket) -> None:
    """Its sign-in goes along, and what it excludes is reached without it."""
    async with proxying(user="tide", password="s3cret: ü@") as proxy:
        options = {**bucket.server.options, "endpoint": bucket.server.endpoint.replace("127.0.0.1", "192.0.2.7")}
        through = {**options, "proxy_url": Proxy(proxy.url, "tide", "s3cret: ü@").full_url}
        url = f"s3://{bucket.name}"
        await ObjectStorage(Bucket(connect(url, {**through, "proxy_excludes": Proxies().for_buckets})), in_place).put(
            KEY, b"a,b"
        )
        assert bucket.listing() == [KEY]
        asked = len(proxy.asked)
        assert proxy.asked[0].target.startswith("http://192.0.2.7:")
        excluded = {**through, "endpoint": bucket.server.endpoint, "proxy_excludes": Proxies().for_buckets}
        await ObjectStorage(Bucket(connect(url, excluded)), in_place).check()
    assert len(proxy.asked) == asked
