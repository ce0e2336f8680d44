"""Opens the storage of the configuration, and reads the free space of its disk."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tidewaiter.storage.base import Storage, StorageSetupError, StorageThreads
from tidewaiter.storage.folder import LocalStorage


@contextmanager
def open_storage(root: Path | None, url: str | None, options: Mapping[str, str | bool]) -> Iterator[Storage]:
    """A folder or a bucket; leaving the context waits for the work of its threads.

    Args:
        root: the folder, or ``None``.
        url: the bucket, if there is no folder.
        options: options of the bucket.

    Raises:
        StorageSetupError: the bucket's options cannot be used, or obstore is not installed.
    """
    with StorageThreads() as threads:
        if root is not None:
            yield LocalStorage(root, threads)
        else:
            yield _in_a_bucket(url or "", options, threads)


def _in_a_bucket(url: str, options: Mapping[str, str | bool], threads: StorageThreads) -> Storage:
    try:
        # Imported late: obstore is an extra.
        from tidewaiter.storage.bucket import Bucket, connect  # noqa: PLC0415
        from tidewaiter.storage.bucket_storage import ObjectStorage  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise StorageSetupError(
            "object storage needs the extra `object`; in a clone, `uv tool install --force '.[object]'` brings it"
        ) from None
    return ObjectStorage(Bucket(connect(url, options), reads_back=not url.startswith("s3://")), threads)


class FreeSpace:
    """Reads the free space in a thread, because the disk may hang; at most one thread at a time does this.

    Args:
        folder: the folder; ``None`` if files do not go to a folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._reading: asyncio.Future[int] | None = None

    async def __call__(self) -> int | None:
        """The free bytes; ``None`` if there is no folder. Raises ``OSError`` if the disk does not answer."""
        if self._folder is None:
            return None
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().run_in_executor(None, _free_bytes, self._folder)
        return await asyncio.shield(self._reading)


def _free_bytes(folder: Path) -> int:
    # The folder is created when the first file lands; until then the folder above it counts.
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(existing).free
