"""Files that requests send: read from the operator's folders, or from what a job of the account has landed.

They are held in memory, because signatures and repeated requests need the whole body; so their size is bounded.
"""

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.job import State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.multipart import FileContent, FileSource
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.storage.base import Storage, StorageError
from tidewaiter.storage.safe_paths import LinkError, Place, folder_of, open_file

_NUMBER = re.compile(r"[0-9]{1,18}")


class UploadError(UnsendableError):
    """A file cannot be sent; the message says why."""


class Uploads:
    """The files that requests of one account may send.

    Args:
        account: its name.
        folders: which hold files that may be sent; absolute.
        jobs: knows what jobs have landed.
        storage: has the landed files.
        largest_bytes: the most bytes of all files of one request.
    """

    def __init__(
        self, account: str, folders: Sequence[Path], jobs: JobStore, storage: Storage, largest_bytes: int
    ) -> None:
        self._account = account
        self._folders = tuple(folders)
        self._jobs = jobs
        self._storage = storage
        self._largest_bytes = largest_bytes

    async def filled(self, request: WireRequest) -> WireRequest:
        """The request with its whole body.

        Raises:
            UploadError: a file is not there, must not be sent, or is too large.
        """
        multipart = request.multipart
        if multipart is None or request.body is not None:
            return request
        files: dict[FileSource, FileContent] = {}
        left = self._largest_bytes
        for source in dict.fromkeys(multipart.sources):
            if source.kind == "folder":
                files[source] = await asyncio.to_thread(partial(self._in_folder, source.name, left))
            else:
                files[source] = await self._of_job(source.name, left)
            left -= len(files[source].data)
        content_type, body = await asyncio.to_thread(partial(multipart.encoded, files))
        return replace(request, headers={**request.headers, "Content-Type": content_type}, body=body)

    # --- folders ------------------------------------------------------------------------------------------------------

    def _in_folder(self, name: str, most: int) -> FileContent:
        if not self._folders:
            raise UploadError(
                f"the file {name!r} must not be sent, because accounts.{self._account}.uploads names no folder: name "
                "the folder in which it is"
            )
        for root in self._folders:
            key = self._below(root, name)
            if key is not None and (data := self._read(root, key, name, most)) is not None:
                return FileContent(key.rpartition("/")[2], None, data)
        folders = " and ".join(map(str, self._folders))
        raise UploadError(f"there is no file {name!r} in {folders}, which accounts.{self._account}.uploads names")

    def _below(self, root: Path, name: str) -> str | None:
        """The path of a file below a folder; ``None`` if it is not there."""
        parts = name.split("/")
        if ".." in parts or "\\" in name or "\0" in name:
            raise UploadError(f"the path {name!r} may lead out of the folders for uploads: leave .. and \\ out")
        if not name.startswith("/"):
            return "/".join(part for part in parts if part not in ("", "."))
        path = Path(name)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else None

    def _read(self, root: Path, key: str, name: str, most: int) -> bytes | None:
        try:
            place = Place.of(root, key)
            with folder_of(place.root, place.folders) as folder:
                descriptor = open_file(folder, place)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except LinkError:
            raise UploadError(f"the file {name!r} is a symbolic link, or behind one, which is not followed") from None
        except StorageError:
            raise UploadError(f"the path {name!r} names no file that may be sent") from None
        except OSError as error:
            raise UploadError(f"the file {name!r} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UploadError(f"{name!r} is no regular file")
        with os.fdopen(descriptor, "rb") as file:
            try:
                data = file.read(most + 1)
            except OSError as error:
                raise UploadError(f"the file {name!r} cannot be read: {error.strerror}") from None
        self._check_size(name, len(data), most)
        return data

    # --- landed files -------------------------------------------------------------------------------------------------

    async def _of_job(self, name: str, most: int) -> FileContent:
        number, _, wanted = name.strip().partition("/")
        job = await self._jobs.get(int(number)) if _NUMBER.fullmatch(number) else None
        if job is None or job.account != self._account:
            raise UploadError(f"{name!r} names no job of account {self._account}")
        if job.state is not State.SUCCEEDED:
            raise UploadError(f"job {job.id} has not succeeded, so its files are not sent: it is {job.state}")
        artifact = _chosen(job.id, await self._jobs.artifacts(job.id), wanted)
        self._check_size(name, artifact.size, most)
        try:
            async with self._storage.reading(artifact.key) as content:
                # Something else may lie there by now, of any size.
                is_there = content is not None and content.size == artifact.size
                pieces = [piece async for piece in content.pieces(0, content.size)] if content and is_there else []
        except StorageError as error:
            raise UploadError(f"the file {artifact.name} of job {job.id} cannot be read: {error}") from None
        data = b"".join(pieces)
        if await asyncio.to_thread(_sha256, data) != artifact.sha256:
            raise UploadError(f"the file {artifact.name} of job {job.id} is not as it landed, or was removed")
        return FileContent(artifact.name, artifact.media_type, data)

    def _check_size(self, name: str, size: int, most: int) -> None:
        if size > most:
            raise UploadError(
                f"the file {name!r} is too large: a request sends {self._largest_bytes} bytes of files at most, which "
                f"is accounts.{self._account}.bounds.largest_upload_bytes"
            )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _chosen(job_id: int, artifacts: Sequence[Artifact], wanted: str) -> Artifact:
    named = [one for one in artifacts if not wanted or one.name == wanted]
    if len(named) == 1:
        return named[0]
    names = ", ".join(one.name for one in artifacts[:10]) or "none"
    if wanted:
        raise UploadError(f"job {job_id} has no file {wanted!r} (its files: {names})")
    raise UploadError(f"job {job_id} has {len(artifacts)} files ({names}): name one of them, as in {job_id}/NAME")
