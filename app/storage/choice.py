"""Opens the storage that the configuration asks for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.storage.base import Storage, StorageSetupError
from app.storage.local import LocalStorage
from app.storage.threads import StorageThreads


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
        from app.storage.bucket import Bucket, connect  # noqa: PLC0415
        from app.storage.object import ObjectStorage  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise StorageSetupError(
            "object storage needs obstore, which is not installed; pip install 'tidewaiter[object]' brings it"
        ) from None
    return ObjectStorage(Bucket(connect(url, options), reads_back=not url.startswith("s3://")), threads)
