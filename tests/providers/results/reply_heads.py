"""Heads of replies to a download."""

from typing import TypeAlias

from multidict import CIMultiDict

from tidewaiter.providers.results.download_replies import (
    FileHead,
)

LARGEST = 10**6

Fields: TypeAlias = list[tuple[str, str]]


def head_of(status: int, fields: Fields, first: bytes = b"id,name") -> FileHead:
    """A head whose fields may be repeated."""
    return FileHead(status, CIMultiDict(fields), first)


def part(value: str, *more: tuple[str, str]) -> FileHead:
    """A 206 with this Content-Range."""
    return head_of(206, [("Content-Range", value), *more])
