"""A bucket of an object store: the few requests that a landing needs, made with obstore, and their errors.

Nothing is overwritten blindly. A writer says which object it saw under the key before (``over``). When another object
is there now, or the result of a request is unknown, the object is read and compared by its checksum.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import from_url

from tidewaiter.storage.base import (
    ContentHash,
    Landed,
    StorageError,
    StorageFullError,
    StorageSetupError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from obstore import GetOptions, UpdateVersion
    from obstore.store import ObjectStore

# A store accepts at most 10,000 parts of one object: files of up to 78 GiB.
PART_BYTES: Final = 8 * 2**20
MOST_PARTS: Final = 10_000
_PARTS_AT_ONCE: Final = 2
_CLIENT: Final = frozenset({"allow_http", "proxy_excludes", "proxy_url", "root_certificate"})
# One part within three minutes is 47 kB/s. After that, and after these few tries, the storage counts as unavailable,
# and a download tries again later.
_PATIENCE: Final = {"connect_timeout": "5s", "timeout": "180s"}
_RETRIES: Final = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
# obstore's client uses the environment's proxy variables unless it has a proxy: this one is never used.
_NO_PROXY: Final = {"proxy_url": "http://127.0.0.1:9", "proxy_excludes": "*,0.0.0.0/0,::/0"}

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([^<]+)</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]+)</Message>")
_FULL: Final = re.compile(r"Quota|StorageFull|InsufficientStorage|CapacityExceeded")
# Errors of one object or one upload. Any other error concerns the store, the bucket or the credentials,
# so every job would meet it.
_OF_ONE_OBJECT: Final = frozenset(
    {
        "BadDigest",
        "BlockListTooLong",
        "EntityTooLarge",
        "EntityTooSmall",
        "IncompleteBody",
        "InvalidBlockList",
        "InvalidPart",
        "InvalidPartOrder",
        "KeyTooLongError",
        "Md5Mismatch",
        "NoSuchUpload",
        "RequestBodyTooLarge",
    }
)


class KeyTakenError(StorageError):
    """There is an object under the key that this writer has not seen."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """The version of an object under a key; equal values mean the same object."""

    size: int
    e_tag: str | None
    version: str | None


def connect(url: str, options: Mapping[str, str | bool]) -> "ObjectStore":
    """Make a client of an object store; it sends no request yet.

    Args:
        url: ``s3://bucket/prefix``, or ``gs://`` or ``az://``.
        options: obstore's options, credentials included; missing ones come from the environment.

    Raises:
        StorageSetupError: they cannot be used.
    """
    client: dict[str, Any] = {**_NO_PROXY, **_PATIENCE}
    if "proxy_url" in options:
        del client["proxy_excludes"]
    client |= {name: value for name, value in options.items() if name in _CLIENT}
    config: dict[str, Any] = {name: value for name, value in options.items() if name not in _CLIENT}
    if "conditional_put" in config:
        config["conditional_put"] = "etag" if config["conditional_put"] else "disabled"
    try:
        return from_url(url, config=config or None, client_options=client, retry_config=_RETRIES)  # type: ignore[call-overload,no-any-return]  # a store's options, checked by obstore
    except (BaseError, ValueError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        for value in options.values():
            if isinstance(value, str):
                reason = reason.replace(value, "…")
        raise StorageSetupError(reason) from None


class Upload:
    """An object that is uploaded in parts, two at a time; it exists only after it is completed."""

    def __init__(self, store: "ObjectStore", key: str) -> None:
        self._key = key
        self._writer = obstore.open_writer_async(store, key, buffer_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    async def write(self, content: bytes) -> None:
        """Send the next bytes: at least a whole part, except at the end."""
        with as_bucket_errors(f"write {self._key}"):
            await self._writer.write(content)

    async def complete(self) -> None:
        """Send the rest and publish the object."""
        with as_bucket_errors(f"publish {self._key}"):
            await self._writer.close()

    async def abort(self) -> None:
        """Make the store delete the parts. The bucket's lifecycle rule removes what an abort does not reach."""
        with suppress(BaseError, OSError):
            # obstore's writer aborts only when its context is left by an exception.
            await self._writer.__aexit__(StorageError, None, None)


class Bucket:
    """The objects below one prefix of a bucket.

    Args:
        store: the client.
        reads_back: whether every object is read again after the upload. S3 compares each part with the SHA-256 in the
            signature of its request; the other stores receive no checksum.
    """

    def __init__(self, store: "ObjectStore", *, reads_back: bool = False) -> None:
        self._store = store
        self._reads_back = reads_back

    async def find(self, key: str) -> ObjectVersion | None:
        """The version of the object under a key, if any."""
        with as_bucket_errors(f"look for {key}"):
            try:
                found = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None
        return ObjectVersion(found["size"], found["e_tag"], found["version"])

    async def land(self, key: str, content: bytes, landed: Landed, over: ObjectVersion | None) -> None:
        """Upload a whole object in place of ``over``."""
        await self._verified(key, landed, lambda: self._put(key, content, over))

    async def land_upload(self, key: str, upload: Upload, landed: Landed, over: ObjectVersion | None) -> None:
        """Complete an upload in place of ``over``. The upload has ended afterwards, even after an error."""
        await self._verified(key, landed, lambda: self._complete(key, upload, landed, over))

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """The bytes of an object, a part at a time; raises ``StorageError`` if there is no such object."""
        current = await self.find(key)
        if current is None:
            raise StorageError(f"Could not read {key}: there is no such object.")
        async for piece in self._pieces(key, current, f"read {key}"):
            yield piece

    def upload(self, key: str) -> Upload:
        """Begin an upload in parts; the first part sends the first request."""
        return Upload(self._store, key)

    async def keys_in(self, folder: str) -> list[str]:
        """The keys of the objects directly below a prefix."""
        with as_bucket_errors(f"list {folder}"):
            found = await obstore.list_with_delimiter_async(self._store, folder)
        return sorted(one["path"] for one in found["objects"])

    async def remove(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with as_bucket_errors(f"remove {key}"), suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def probe(self, key: str, content: bytes) -> None:
        """Write an object and remove it again."""
        with as_bucket_errors("write a probe"):
            await obstore.put_async(self._store, key, content, use_multipart=False)
            with suppress(FileNotFoundError):  # another daemon's probe has removed it
                await obstore.delete_async(self._store, key)

    async def _verified(self, key: str, landed: Landed, act: Callable[[], Awaitable[None]]) -> None:
        """Call ``act``; if it fails, it still counts as success if these exact bytes are there (fault 46)."""
        try:
            await act()
        except StorageError:
            if not await self._holds(key, landed):
                raise
            return
        if self._reads_back and not await self._holds(key, landed):
            raise StorageError(f"Could not write {key}: the stored object is not what was sent.")

    async def _put(self, key: str, content: bytes, over: ObjectVersion | None) -> None:
        with as_bucket_errors(f"write {key}"):
            try:
                await obstore.put_async(self._store, key, content, mode="create" if over is None else _version_of(over))
            except (NotImplementedError, NotSupportedError):
                # The store has no conditions, or the operator turned them off: check just before the write instead.
                await self._expect(key, over)
                await obstore.put_async(self._store, key, content, use_multipart=False)

    async def _complete(self, key: str, upload: Upload, landed: Landed, over: ObjectVersion | None) -> None:
        # obstore cannot complete an upload with a condition: between this check and the end of the next request, a
        # former owner that has not noticed the end of its lease can still write.
        try:
            await self._expect(key, over)
        except StorageError:
            await upload.abort()
            raise
        await upload.complete()
        current = await self.find(key)
        if current is None or current.size != landed.size:
            raise StorageError(f"Could not publish {key}: the store does not have all of it.")

    async def _expect(self, key: str, over: ObjectVersion | None) -> None:
        if await self.find(key) != over:
            raise KeyTakenError(f"Could not publish {key}: another writer has stored something else there meanwhile.")

    async def _holds(self, key: str, landed: Landed) -> bool:
        """Whether the object under a key has exactly these bytes: it is read again, part by part."""
        current = await self.find(key)
        if current is None or current.size != landed.size:
            return False
        content_hash = ContentHash(md5=False)
        async for piece in self._pieces(key, current, f"compare {key}"):
            content_hash.update(piece)
        return content_hash.landed == landed

    def pieces(self, key: str, current: ObjectVersion, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes of an object from ``start`` up to ``stop``, a part at a time, while it is the same object."""
        return self._pieces(key, current, f"read {key}", start, stop)

    async def _pieces(
        self, key: str, current: ObjectVersion, what: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        at, end = start, current.size if stop is None else stop
        while at < end:
            options: GetOptions = {"range": (at, min(end, at + PART_BYTES))}
            if current.e_tag is not None:
                options["if_match"] = current.e_tag
            with as_bucket_errors(what):
                reply = await obstore.get_async(self._store, key, options=options)
                piece = bytes(await reply.bytes_async())
            at += len(piece)
            yield piece


def _version_of(current: ObjectVersion) -> "UpdateVersion":
    """The condition for replacing an object; obstore accepts no ``None`` in it."""
    version: UpdateVersion = {}
    if current.e_tag is not None:
        version["e_tag"] = current.e_tag
    if current.version is not None:
        version["version"] = current.version
    return version


@contextmanager
def as_bucket_errors(doing: str) -> Iterator[None]:
    """Turn obstore's exceptions into the matching ``StorageError``; its text says what failed."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _as_storage_error(doing, error) from error


def _as_storage_error(doing: str, error: Exception) -> StorageError:
    if isinstance(error, AlreadyExistsError | PreconditionError):
        return KeyTakenError(f"Could not {doing}: another writer has stored something else there meanwhile.")
    # obstore adds a dump of its structures; its first line has the URL and ends with the cause.
    text = str(error).partition("\n\nDebug source:")[0]
    status, code, details = _first(_STATUS, text), _first(_CODE, text), _first(_MESSAGE, text)
    reason = ", ".join(part for part in (status, code) if part) or text.rpartition(" - ")[2].partition("\n")[0][:300]
    if status == "507" or _FULL.search(code):
        return StorageFullError(f"The storage is full: could not {doing} ({reason}).")
    message = f"Could not {doing}: {reason}{f' ({details})' if details else ''}."
    return StorageError(message) if code in _OF_ONE_OBJECT else StorageUnavailableError(message)


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
