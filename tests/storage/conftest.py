"""Storages of the test's own: on a folder, with real threads and in place, and in a bucket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.folders import files, read, write
from tests.storage.inspected_storage import InspectedStorage, in_place
from tests.support import s3
from tidewaiter.storage.base import StorageThreads
from tidewaiter.storage.bucket import Bucket, connect
from tidewaiter.storage.bucket_storage import ObjectStorage
from tidewaiter.storage.folder import LocalStorage


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The storage root; nobody has made it yet."""
    return tmp_path / "exports"


@pytest.fixture(params=["threads", "in place"])
def storage(root: Path, request: pytest.FixtureRequest) -> Iterator[LocalStorage]:
    """A storage with real threads, which have ended when the test has, and one without."""
    if request.param == "in place":
        yield LocalStorage(root, in_place)
    else:
        with StorageThreads() as threads:
            yield LocalStorage(root, threads)


@pytest.fixture
def objects(bucket: s3.Bucket) -> Iterator[ObjectStorage]:
    """A storage below a prefix of a bucket."""
    with StorageThreads() as threads:
        yield ObjectStorage(Bucket(connect(f"s3://{bucket.name}/pre/fix", bucket.server.options)), threads)


@pytest.fixture(params=["folder", "folder, in place", "bucket"])
def shelf(request: pytest.FixtureRequest, root: Path) -> Iterator[InspectedStorage]:
    """A storage of each kind."""
    if request.param == "bucket":
        bucket: s3.Bucket = request.getfixturevalue("bucket")
        objects: ObjectStorage = request.getfixturevalue("objects")
        yield InspectedStorage(
            objects,
            lambda: [key.removeprefix("pre/fix/") for key in bucket.listing()],
            lambda key: bucket.read(f"pre/fix/{key}"),
            lambda key, content: bucket.put(f"pre/fix/{key}", content),
            bucket.uploads,
        )
        return
    with StorageThreads() as threads:
        storage = LocalStorage(root, in_place if request.param == "folder, in place" else threads)
        yield InspectedStorage(
            storage,
            lambda: files(root),
            lambda key: read(root / key),
            lambda key, content: write(root / key, content),
            lambda: 0,
        )
