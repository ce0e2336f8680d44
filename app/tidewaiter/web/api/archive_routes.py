"""All files of a job as one ZIP archive, made while it is sent: nothing is written to a disk, no file is held whole.

The files are stored in it as they are, without compression, so that sending costs little. Every entry has 64-bit sizes
(ZIP64), because the size of a file is not limited. The checksum of an entry comes after its bytes.
"""

import re
import time
import zipfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from aiohttp import hdrs, web

from tidewaiter.domain.manifest import Artifact
from tidewaiter.storage.base import Content, StorageError, StorageUnavailableError
from tidewaiter.web.api.artifact_routes import disposition
from tidewaiter.web.api.request_input import job_number
from tidewaiter.web.api.routing import ApiContext, ApiResponse, ApiRoute, QueryParameters
from tidewaiter.web.problems import ProblemError

_ZIP: Final = "application/zip"
_AGAIN_S: Final = 10.0
_FIRST_TIME: Final = 315_532_800.0  # ZIP has no time before 1980
_NOT_IN_NAMES: Final = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


class ArchiveRoutes:
    """The route of the archive."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        return [
            ApiRoute(
                "GET", "/v1/jobs/{id}/artifacts.zip", "fetchArchive", "Download all files of a job as a ZIP archive",
                self.fetch,
                {
                    200: ApiResponse(
                        "the archive", media_type=_ZIP, headers={hdrs.CONTENT_DISPOSITION: "a name for it"}
                    )
                },
                problems=(404, 410),
                detail="It is made while it is sent, so its size is not known before, and it cannot be resumed. If a "
                "file cannot be read whole, the connection is aborted.",
                limited=True,
            )
        ]  # fmt: skip

    async def fetch(self, request: web.Request, _: QueryParameters) -> web.StreamResponse:
        """Send the archive."""
        number = job_number(request)
        _job, _history, artifacts = await self._context.jobs(request).show(number)
        if not artifacts:
            raise ProblemError(404, f"job {number} has no files")
        response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "private, no-store"})
        response.content_type = _ZIP
        response.headers[hdrs.CONTENT_DISPOSITION] = disposition(f"job-{number}.zip")
        try:
            return await self._send(request, response, number, artifacts)
        except StorageUnavailableError as error:
            raise ProblemError(503, str(error), retry_after_s=_AGAIN_S) from error
        except _UnreadableError as error:
            raise ProblemError(410, "a file has been removed from the storage, or changed, since it landed") from error
        except StorageError as error:
            raise ProblemError(500, "the storage cannot read a file; the log says more") from error

    async def _send(
        self, request: web.Request, response: web.StreamResponse, number: int, artifacts: Sequence[Artifact]
    ) -> web.StreamResponse:
        """Send the archive; before its first byte an error is raised, and after that the connection is aborted."""
        try:
            async with aclosing(self._pieces(number, artifacts)) as pieces:
                async for piece in pieces:
                    if not response.prepared:
                        await response.prepare(request)
                        if request.method == hdrs.METH_HEAD:
                            return response
                    await response.write(piece)
            await response.write_eof()
        except (StorageError, _UnreadableError):
            if not response.prepared:
                raise
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            return response  # the reader has disconnected
        return response

    async def _pieces(self, number: int, artifacts: Sequence[Artifact]) -> AsyncGenerator[bytes, None]:
        sink = _Sink()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
            for artifact, name in zip(artifacts, archive_names(artifacts), strict=True):
                try:
                    async with self._context.storage.reading(artifact.key) as found:
                        content = _checked(found, artifact)
                        info = zipfile.ZipInfo(name, time.gmtime(max(artifact.landed_at, _FIRST_TIME))[:6])
                        with archive.open(info, "w", force_zip64=True) as entry:
                            async for piece in content.pieces(0, artifact.size):
                                entry.write(piece)
                                yield sink.taken()
                except (StorageError, _UnreadableError) as error:
                    self._context.log.emit("artifact.unreadable", job=number, key=artifact.key, reason=str(error))
                    raise
        yield sink.taken()


def _checked(content: Content | None, artifact: Artifact) -> Content:
    if content is None or content.size != artifact.size:
        raise _UnreadableError("it is not in the storage as it landed")
    return content


def archive_names(artifacts: Sequence[Artifact]) -> list[str]:
    """Names for the files in an archive: plain file names, each of them once, however they are compared."""
    names: list[str] = []
    taken: set[str] = set()
    for artifact in artifacts:
        name = _NOT_IN_NAMES.sub("_", artifact.name).strip(". ") or "file"
        if name.casefold() in taken:
            name = f"{artifact.number}-{name}"
        taken.add(name.casefold())
        names.append(name)
    return names


class _UnreadableError(Exception):
    """A file is not in the storage as it landed."""


class _Sink:
    """Takes what the archive writes; it cannot seek, so that nothing is changed after it was sent."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes, /) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def taken(self) -> bytes:
        """What was written since the last call."""
        held = bytes(self._held)
        self._held.clear()
        return held
