"""Names of landed files: made of what a provider calls a file, and safe in every folder and bucket."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from tidewaiter.domain.manifest import MANIFEST_NAME, Artifact

_LONGEST_NAME: Final = 120  # bytes
_PREFIX_BYTES: Final = 6
_LONG_LABEL: Final = 512
_EXTENSION: Final = re.compile(r"[A-Za-z0-9]{1,8}")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LEFT_OUT: Final = "\0"
# Letters, digits and marks of every script, and symbols such as emoji: categories of the Unicode Standard, 4.5.
_KEPT: Final = frozenset("LMN")
_KEPT_SYMBOLS: Final = "So"
_INVISIBLE: Final = "Cf"
# Invisible although they are letters or marks: DerivedCoreProperties.txt, Default_Ignorable_Code_Point.
_INVISIBLE_ONES: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: devices, with any extension.
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
_EXTENSIONS: Final = {
    "application/json": ".json",
    "text/json": ".json",
    "application/ndjson": ".ndjson",
    "application/x-ndjson": ".ndjson",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "text/html": ".html",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/zip": ".zip",
    "application/gzip": ".gz",
}
# Structured syntax suffixes (RFC 6839, and the registry of IANA): what is after the + says how to read it.
_BY_SUFFIX: Final = {"json": ".json", "ndjson": ".ndjson", "xml": ".xml", "zip": ".zip", "gzip": ".gz"}


def file_name(label: str, number: int, total: int, media_type: str | None, fallback: str) -> str:
    """A safe file name made from a label that a provider proposed.

    Letters of every script stay, normalised (NFC). Everything that a file system, a bucket or a person's eye can
    misread is left out: separators, control characters, invisible characters and those that turn the direction of
    writing, reserved characters and names, leading and trailing dots. The length in bytes is limited. If a job has
    several files, the number makes the name unique.

    Args:
        label: the provider's name for the file; may be empty, hostile, or 4 kB long.
        number: the file's number, from 0.
        total: how many files the job has.
        media_type: gives the extension when the label has none.
        fallback: the stem to use if nothing of the label is left.
    """
    stem, dot, extension = _shortened(label.replace("\\", "/").rpartition("/")[2].rstrip()).rpartition(".")
    if not (stem and dot and _EXTENSION.fullmatch(extension)):
        stem, extension = f"{stem}{dot}{extension}", ""
    kind = (media_type or "").split(";", 1)[0].strip().lower()
    suffix = (
        f".{extension.lower()}" if extension else _EXTENSIONS.get(kind) or _BY_SUFFIX.get(kind.partition("+")[2], "")
    )
    stem = _cut(_plain(stem) or fallback, _LONGEST_NAME - len(suffix) - _PREFIX_BYTES)
    prefix = f"{number + 1:03d}-" if total > 1 else ""
    name = f"{prefix}{stem}{suffix}"
    is_reserved = name.casefold() == MANIFEST_NAME or _DEVICE.match(unicodedata.normalize("NFKC", name))
    return f"file-{name}" if is_reserved else name


def name_key(name: str) -> str:
    """What two names have in common if some file system takes them for one, whatever their case and normal form."""
    return (
        name.lower() if name.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
    )


def free_places(
    kept: Mapping[int, Artifact], total: int, key_of: Callable[[int, int], str], others: Iterable[Artifact] = ()
) -> Iterator[tuple[int, int, str]]:
    """For each file that is not kept: its place in the list, and the number and key under which it lands.

    The number is the place, if it is free. A kept file that has moved in the list keeps its number and its key until
    all files have landed; a file that would get them takes the next free number instead.

    No two files get keys that some file system takes for one.

    Args:
        kept: the files that have landed already, by their place in the list now.
        total: the number of files.
        key_of: the key of a file by its place in the list and its number.
        others: more files that have landed, such as the members of an archive beside its first one.
    """
    numbers = {one.number for one in (*kept.values(), *others)}
    keys = {name_key(one.key) for one in (*kept.values(), *others)}
    following = total  # the next number beyond the list that has not been tried
    for place in range(total):
        if place in kept:
            continue
        number = place
        while number in numbers or name_key(key_of(place, number)) in keys:
            number, following = following, following + 1
        numbers.add(number)
        key = key_of(place, number)
        keys.add(name_key(key))
        yield place, number, key


def _shortened(label: str) -> str:
    """The beginning of a long label and its extension; to normalise all of it could take long."""
    return label if len(label) <= _LONG_LABEL else label[:_LONG_LABEL] + label[-9:]


def _plain(text: str) -> str:
    if text.isascii():
        return _NOT_PLAIN.sub("-", text).strip(".-_")
    composed = unicodedata.normalize("NFC", "".join(map(_kept, _INVISIBLE_ONES.sub("", text))))
    plain = re.sub(f"{_LEFT_OUT}+", "-", composed).strip(".-_")
    while plain and unicodedata.category(plain[0])[0] == "M":  # it would join what stands before the name
        plain = plain[1:].lstrip(".-_")
    return plain


def _kept(one: str) -> str:
    """A character of a name, a mark in its place if it is not permitted, or nothing if nobody sees it."""
    if one.isascii():
        return one if one.isalnum() or one in "._-" else _LEFT_OUT
    category = unicodedata.category(one)
    if category == _INVISIBLE:
        return ""
    return one if category[0] in _KEPT or category == _KEPT_SYMBOLS else _LEFT_OUT


def _cut(text: str, most: int) -> str:
    """The first bytes of a text in UTF-8, without a part of a character, and not with a dot at the end."""
    return text.encode()[:most].decode(errors="ignore").rstrip(".-_")
