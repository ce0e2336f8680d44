"""Downloads of landed files: whole or a range, from a folder or a bucket, piece by piece.

A file that has changed since it landed is never sent. If the storage fails in the middle, the connection is aborted, so
that no caller treats a part as the whole. aiohttp's ``FileResponse`` reads a local file by its path and makes its
entity tag of time and size; here the storage reads the file, and the entity tag is the SHA-256.
"""

import base64
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote

from aiohttp import ETag, hdrs, web

from tidewaiter.domain.job_json import artifact_json
from tidewaiter.domain.manifest import Artifact
from tidewaiter.storage.base import Content, StorageError, StorageUnavailableError
from tidewaiter.web.api import body_schemas as shapes
from tidewaiter.web.api.http_headers import known_tags, matched_tags, range_of
from tidewaiter.web.api.paging import MOST_LISTED, limit_of
from tidewaiter.web.api.request_input import artifact_number, job_number, refuse_query
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.problems import FieldFault, ProblemError

ANY_MEDIA_TYPE: Final = "application/octet-stream"
_MEDIA_TYPE: Final = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}(\s*;\s*charset=[A-Za-z0-9_-]+)?"
)
_AGAIN_S: Final = 10.0
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_TEXT: Final = {"type": "string"}
_ABOUT: Final[dict[str, str]] = {
    hdrs.ETAG: "the SHA-256 of the file, in hex",
    hdrs.LAST_MODIFIED: "when it landed",
    "Repr-Digest": "the SHA-256 of the whole file (RFC 9530)",
    hdrs.CONTENT_DISPOSITION: "its name",
    hdrs.ACCEPT_RANGES: "bytes",
}


class ArtifactRoutes:
    """The routes of landed files."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        return [
            ApiRoute(
                "GET", "/v1/jobs/{id}/artifacts", "listArtifacts", "List the files that a job has landed", self.page,
                {
                    200: ApiResponse(
                        "a page of its files", shapes.ArtifactsShape, headers={hdrs.LINK: "the next page, rel=next"}
                    )
                },
                query=(
                    ApiParameter(
                        "limit", f"the maximum number on a page; {MOST_LISTED} by default",
                        {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": MOST_LISTED},
                    ),
                    ApiParameter("after", "only files behind this number", {"type": "integer", "minimum": 0}),
                ),
                problems=(404,), limited=True,
            ),
            ApiRoute(
                "GET", "/v1/jobs/{id}/artifacts/{number}", "fetchArtifact", "Download a landed file", self.fetch,
                {
                    200: ApiResponse("the file, of its own media type", media_type="*/*", headers=_ABOUT),
                    206: ApiResponse(
                        "a range of it", media_type="*/*", headers={**_ABOUT, hdrs.CONTENT_RANGE: "which range"}
                    ),
                    304: ApiResponse("the caller has the file already", media_type=None, headers=_ABOUT),
                },
                headers=(
                    ApiParameter(hdrs.RANGE, "one range of bytes", _TEXT),
                    ApiParameter(hdrs.IF_RANGE, "send the range only if the file is this one", _TEXT),
                    ApiParameter(hdrs.IF_NONE_MATCH, "entity tags that the caller has", _TEXT),
                    ApiParameter(hdrs.IF_MATCH, "entity tags, one of which must match", _TEXT),
                    ApiParameter(hdrs.IF_MODIFIED_SINCE, "only if it landed after this time", _TEXT),
                    ApiParameter(hdrs.IF_UNMODIFIED_SINCE, "only if it landed at this time or before", _TEXT),
                ),
                problems=(404, 410, 412, 416),
                detail="The entity tag is strong, so that a download can be resumed with `Range` and `If-Range`.",
                limited=True,
            )
        ]  # fmt: skip

    async def page(self, request: web.Request, query: QueryParameters) -> web.Response:
        """A page of the files of a job."""
        job_id, faults = job_number(request), list[FieldFault]()
        limit = limit_of(query, faults, MOST_LISTED)
        text = query.get("after", ["-1"])[0]
        if "after" in query and not _NUMBER.fullmatch(text):
            faults.append(FieldFault("must be the number of a file", parameter="after"))
        refuse_query(faults)
        found = await self._context.jobs(request).files(job_id, limit + 1, int(text))
        shown = found[:limit]
        following = None
        if found[limit:]:
            following = f"/v1/jobs/{job_id}/artifacts?limit={limit}&after={shown[-1].number}"
        headers: dict[str, str] = {} if following is None else {hdrs.LINK: f'<{following}>; rel="next"'}
        return json_reply({"artifacts": [artifact_json(job_id, one) for one in shown], "next": following}, 200, headers)

    async def fetch(self, request: web.Request, _: QueryParameters) -> web.StreamResponse:
        """Send a landed file, or a range of it."""
        job_id, number = job_number(request), artifact_number(request)
        found = await self._context.jobs(request).files(job_id, 1, number - 1)
        artifact = found[0] if found and found[0].number == number else None
        if artifact is None:
            raise ProblemError(404, f"job {job_id} has no artifact {number}")
        _check_conditions(request, artifact)
        if _is_known(request, artifact):
            return _described(web.Response(status=304), artifact)
        try:
            async with self._context.storage.reading(artifact.key) as content:
                return await self._send(request, job_id, artifact, self._checked(content, job_id, artifact))
        except StorageUnavailableError as error:
            raise ProblemError(503, str(error), retry_after_s=_AGAIN_S) from error
        except StorageError as error:
            self._log_unreadable(job_id, artifact, str(error))
            raise ProblemError(500, "the storage cannot read the file; the log says more") from error

    def _checked(self, content: Content | None, job_id: int, artifact: Artifact) -> Content:
        """The content, if it has the size of the file that landed."""
        if content is None:
            self._log_unreadable(job_id, artifact, "it is no longer in the storage")
            raise ProblemError(410, "the file has been removed from the storage since it landed")
        if content.size != artifact.size:
            self._log_unreadable(
                job_id, artifact, f"it has {content.size} bytes in the storage, and had {artifact.size}"
            )
            raise ProblemError(500, "the file in the storage is not the one that landed: its size differs")
        return content

    async def _send(
        self, request: web.Request, job_id: int, artifact: Artifact, content: Content
    ) -> web.StreamResponse:
        start, stop, is_part = _range_to_send(request, artifact)
        response = _described(web.StreamResponse(status=206 if is_part else 200), artifact)
        response.content_length = stop - start
        if is_part:
            response.headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{artifact.size}"
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            async for piece in content.pieces(start, stop):
                await response.write(piece)
        except StorageError as error:
            self._log_unreadable(job_id, artifact, str(error))
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            return response  # the reader has disconnected
        else:
            await response.write_eof()
        return response

    def _log_unreadable(self, job_id: int, artifact: Artifact, reason: str) -> None:
        self._context.log.emit("artifact.unreadable", job=job_id, key=artifact.key, reason=reason)


def _check_conditions(request: web.Request, artifact: Artifact) -> None:
    """Check ``If-Match`` and ``If-Unmodified-Since`` (RFC 9110, section 13.2.2).

    Raises:
        ProblemError: 412 if the condition is not met.
    """
    if hdrs.IF_MATCH in request.headers:
        if not matched_tags(request) & {"*", artifact.sha256}:
            raise ProblemError(412, "the file does not match If-Match")
    elif (since := request.if_unmodified_since) is not None and int(artifact.landed_at) > since.timestamp():
        raise ProblemError(412, "the file landed after the time in If-Unmodified-Since")


def _is_known(request: web.Request, artifact: Artifact) -> bool:
    """Whether the caller has the file already."""
    if hdrs.IF_NONE_MATCH in request.headers:
        return bool(known_tags(request) & {"*", artifact.sha256})
    since = request.if_modified_since
    return since is not None and int(artifact.landed_at) <= since.timestamp()


def _range_to_send(request: web.Request, artifact: Artifact) -> tuple[int, int, bool]:
    """The first byte to send, the one after the last, and whether this is only a part of the file."""
    found = range_of(request, artifact.size) if _may_send_range(request, artifact) else None
    return (0, artifact.size, False) if found is None else (*found, True)


def _may_send_range(request: web.Request, artifact: Artifact) -> bool:
    """Whether the method and ``If-Range`` permit a range.

    aiohttp's ``if_range`` reads dates only. An entity tag would look like no condition at all.
    """
    if request.method != hdrs.METH_GET:
        return False
    condition = request.headers.get(hdrs.IF_RANGE)
    return condition is None or condition.strip() in (f'"{artifact.sha256}"', _landed(artifact))


def _described(response: web.StreamResponse, artifact: Artifact) -> web.StreamResponse:
    """Add the headers of the file. The caller alone may cache it, and must revalidate it each time."""
    response.etag = ETag(artifact.sha256)
    digest = base64.b64encode(bytes.fromhex(artifact.sha256)).decode()
    response.headers.update(
        {
            hdrs.LAST_MODIFIED: _landed(artifact),
            "Repr-Digest": f"sha-256=:{digest}:",
            hdrs.CONTENT_DISPOSITION: disposition(artifact.name),
            hdrs.ACCEPT_RANGES: "bytes",
            hdrs.CACHE_CONTROL: "private, no-cache",
            # If a browser shows it anyway, it is a sandboxed page without scripts.
            "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        }
    )
    if response.status != 304:
        fits = _MEDIA_TYPE.fullmatch(artifact.media_type)
        response.headers[hdrs.CONTENT_TYPE] = artifact.media_type if fits else ANY_MEDIA_TYPE
    return response


def disposition(name: str) -> str:
    """The header that makes a browser save the file under its name and never show it (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:120]
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _landed(artifact: Artifact) -> str:
    return format_datetime(datetime.fromtimestamp(int(artifact.landed_at), UTC), usegmt=True)
