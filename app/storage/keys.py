"""The keys of landed files: paths with forward slashes that stay below the root."""

from app.storage.base import StorageError

_LONGEST_PART = 255


def parts_of(key: str) -> list[str]:
    """The parts of a key.

    Raises:
        StorageError: the key is empty or not below the root. Keys are made safe before; this is a second check.
    """
    parts = key.split("/")
    for part in parts:
        if part in {"", ".", ".."} or "\\" in part or not part.isprintable() or len(part.encode()) > _LONGEST_PART:
            raise StorageError(f"The key {key[:200]!r} is not a path below the storage root.")
    if parts[0].startswith("."):
        raise StorageError(f"The key {key[:200]!r} lies in a folder of the storage's own.")
    return parts
