"""Errors of object stores as storage errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from app.storage.base import StorageError, StorageFullError, StorageUnavailableError

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


@contextmanager
def in_words(doing: str) -> Iterator[None]:
    """Turn obstore's exceptions into the matching ``StorageError``; its text says what failed."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _spoken(doing, error) from error


def _spoken(doing: str, error: Exception) -> StorageError:
    if isinstance(error, AlreadyExistsError | PreconditionError):
        return KeyTakenError(f"Could not {doing}: another writer has put something else there meanwhile.")
    # obstore adds a dump of its structures; its first line has the URL and ends with the cause.
    text = str(error).partition("\n\nDebug source:")[0]
    status, code, message = _first(_STATUS, text), _first(_CODE, text), _first(_MESSAGE, text)
    reason = ", ".join(part for part in (status, code) if part) or text.rpartition(" - ")[2].partition("\n")[0][:300]
    if status == "507" or _FULL.search(code):
        return StorageFullError(f"The storage is full: could not {doing} ({reason}).")
    told = f"Could not {doing}: {reason}{f' ({message})' if message else ''}."
    return StorageError(told) if code in _OF_ONE_OBJECT else StorageUnavailableError(told)


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
