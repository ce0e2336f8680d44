"""Replies of the API: JSON bodies and the entity tag of a job."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

from aiohttp import web
from aiohttp.web_response import json_response

from app.domain.job import Job


def entity_tag(job: Job) -> str:
    """The strong entity tag of a job's representation, without quotes.

    A cancel request, a wake-up and a moved deadline change the job without a new version.
    """
    beside = (job.due_at, job.deadline_at, job.cancel_requested, job.id)
    return f"{job.version}-{crc32(repr(beside).encode()):08x}"


def answer(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A reply with a JSON body."""
    return json_response(document, status=status, headers=headers)
