"""An honest server's reply for a file: whole, or the rest of it if a range was requested and still fits."""

import gzip
import re

from tests.lying.answers import Answer, Request
from tests.lying.archives import archive_of
from tests.lying.plan import ARCHIVES, Plan, content_of


def stored_of(plan: Plan, number: int, version: int) -> bytes:
    """The bytes as the server has them: an archive, or packed where the file is a packed one."""
    if plan.shape in ARCHIVES:
        return archive_of(plan, version)
    content = content_of(plan, number, version)
    return gzip.compress(content, mtime=0) if plan.files[number].packed else content


def file_answer(plan: Plan, number: int, version: int, request: Request) -> Answer:
    """The reply to a GET of a file (RFC 9110, sections 13 and 14)."""
    data = stored_of(plan, number, version)
    tag = tag_of(plan, number, version)
    fields = [("Content-Type", plan.media or "application/octet-stream"), ("Accept-Ranges", "bytes")]
    if tag is not None:
        fields.append(("ETag", tag))
    whole = Answer(200, tuple(fields), data, note=f"200, {len(data)} bytes")
    start = start_of(request)
    if start is None or request.fields.get("if-range") not in (None, tag) or (tag or "W/").startswith("W/"):
        return whole
    if start >= len(data):
        return Answer(416, (("Content-Range", f"bytes */{len(data)}"),), b"", note=f"416, bytes */{len(data)}")
    told = f"bytes {start}-{len(data) - 1}/{len(data)}"
    return whole.but(status=206, body=data[start:], note=f"206, {told}").with_fields(("Content-Range", told))


def tag_of(plan: Plan, number: int, version: int) -> str | None:
    """The entity tag of one version of a file."""
    strong = f'"{plan.seed}-{number}-{version}"'
    return {"strong": strong, "weak": f"W/{strong}", "none": None}[plan.etag]


def start_of(request: Request) -> int | None:
    """Where the asked-for range begins; ``None`` where the whole file was asked for."""
    match = re.fullmatch(r"bytes=(\d+)-", request.fields.get("range", ""))
    return int(match[1]) if match else None
