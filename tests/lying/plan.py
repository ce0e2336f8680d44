"""Plans: one mix of an API's shape, its files, and a finite number of faults, all drawn from one seed."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

SHAPES = (
    "list",
    "list",
    "list",
    "url",
    "url",
    "resolve",
    "inline",
    "inline",
    "atonce",
    "pages",
    "linked",
    "cursor",
    "csv",
    "staged",
    "nested",
    "early",
    "again",
    "reuse",
    "multipart",
    "xml",
    "zip",
    "tar",
    "gzip",
    "added",
    "named",
    "posted",
    "taken",
)
"""Where the results are; the more frequent ones have more that can go wrong. From ``staged`` on: one mechanism each."""

EXCHANGES: Mapping[str, tuple[str, ...]] = {
    "list": ("submit", "poll", "file", "file", "file", "cleanup"),
    "url": ("submit", "poll", "file", "file", "file"),
    "resolve": ("submit", "poll", "resolve", "file", "file"),
    "inline": ("submit", "poll", "inline", "inline", "inline"),
    "atonce": ("answer",),
    "pages": ("page",),
    "linked": ("page",),
    "cursor": ("submit", "poll", "page", "page"),
    "csv": ("submit", "poll", "page", "page"),
    "staged": ("before", "submit", "start", "poll", "file"),
    "nested": ("submit", "poll", "folders", "folders", "folder", "file"),
    "early": ("submit", "poll", "poll", "file", "file"),
    "again": ("submit", "poll", "poll", "file"),
    "reuse": ("search", "search", "submit", "poll", "file"),
    "multipart": ("submit", "submit", "poll", "file"),
    "xml": ("submit", "poll", "poll", "file"),
    "zip": ("submit", "poll", "file", "file", "file"),
    "tar": ("submit", "poll", "file", "file", "file"),
    "gzip": ("submit", "poll", "file", "file"),
    "added": ("submit", "poll", "poll", "poll", "file", "file"),
    "named": ("submit", "poll", "poll", "file", "file", "file"),
    "posted": ("submit", "poll", "poll", "file", "file"),
    "taken": ("submit", "submit", "poll", "file"),
}
STAGES = ("before", "start")
"""The exchanges that only the shape ``staged`` has."""
LISTS = frozenset({"list", "nested", "early", "xml", "added", "named"})
"""The shapes whose files are in a list that announces what they are."""
ARCHIVES = frozenset({"zip", "tar"})
"""The shapes whose one file is an archive, of which the members land."""
PAGED = frozenset({"pages", "linked", "cursor", "csv"})
UNSUBMITTED = frozenset({"pages", "linked"})
MEDIA = ("text/csv", "text/csv", "application/xml", "text/html", "application/json", "")
RELISTS = ("reorder", "extend", "shrink")
DIGESTS = ("hex", "upper", "base64", "quoted", "prefixed")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its name in the catalogue, and what decides its details."""

    name: str
    salt: int = 0


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file: what it is called, how long it is, and what the list announces of it."""

    label: str
    size: int
    packed: bool = False
    foreign: bool = False
    size_told: bool = False
    sha256: str = ""
    md5: str = ""

    @property
    def announced(self) -> bool:
        """Whether another content than the announced one can be known."""
        return self.size_told or self.proved

    @property
    def proved(self) -> bool:
        """Whether a digest is announced."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True, slots=True)
class Plan:
    """One mix.

    ``faults`` maps an exchange to the faults of its first, second ... time. ``etag`` is strong, weak or none.
    ``relist`` is what happens to the list of files when it is asked for the second time. ``cancel_at`` is after how
    many seconds a person cancels. ``last_page`` is how the last page says that there is no next one.
    """

    seed: int
    shape: str
    auth: str = "bearer"
    mode: str = "once"
    media: str = "text/csv"
    files: tuple[FilePlan, ...] = ()
    pages: tuple[int, ...] = ()
    last_page: str = "absent"
    polls: int = 1
    etag: str = "strong"
    relist: str | None = None
    cancel_at: float | None = None
    faults: tuple[tuple[str, tuple[Fault | None, ...]], ...] = ()

    @property
    def spec(self) -> str:
        """The name of the spec that describes this API."""
        media = self.media.replace("/", "-") or "plain"
        return f"{self.shape}-{self.auth}-{self.mode}-{media}"

    @property
    def submitted(self) -> bool:
        """Whether a remote job is made."""
        return self.shape not in UNSUBMITTED

    def without(self, exchange: str, at: int) -> "Plan":
        """The same plan with one fault less."""
        changed = []
        for name, faults in self.faults:
            if name == exchange:
                kept = list(faults)
                kept[at] = None
                while kept and kept[-1] is None:
                    kept.pop()
                changed.append((name, tuple(kept)))
            else:
                changed.append((name, faults))
        return replace(self, faults=tuple(one for one in changed if one[1]))

    def told(self) -> str:
        """The plan in words."""
        api = f"{self.shape}, auth {self.auth}, submit {self.mode}, media type {self.media or 'none'}, etag {self.etag}"
        lines = [f"seed {self.seed}: {api}, {self.polls} polls"]
        lines += [f"  file {number}: {file}" for number, file in enumerate(self.files)]
        if self.pages:
            lines.append(f"  pages of {self.pages} items, the end is told by {self.last_page}")
        lines += [
            f"  {name}: {value}" for name, value in (("relist", self.relist), ("cancel", self.cancel_at)) if value
        ]
        for exchange, faults in self.faults:
            said = ", ".join("-" if fault is None else f"{fault.name}/{fault.salt}" for fault in faults)
            lines.append(f"  {exchange}: {said}")
        return "\n".join(lines)


def content_of(plan: Plan, number: int, version: int) -> bytes:
    """The bytes of a file: what every correct client gets of this version of it."""
    size = plan.files[number].size
    rand = Random(f"{plan.seed}-{number}-{version}")
    if size == 0 and plan.media != "application/json":
        return b""
    if plan.media == "application/xml":
        head, row, tail = b"<?xml version='1.0'?>\n<report>\n", b"<row id='%d'>%d</row>\n", b"</report>\n"
    elif plan.media == "text/html":
        head, row, tail = b"<!DOCTYPE html>\n<html><body>\n", b"<p>%d: %d</p>\n", b"</body></html>\n"
    elif plan.media == "application/json":
        head, row, tail = b'{"rows": [\n', b"[%d, %d],\n", b"[0, 0]]}\n"
    else:
        head, row, tail = b"id,value\r\n", b"%d,%d\r\n", b""
    rows = [head]
    grown = len(head)
    while grown < size:
        rows.append(row % (len(rows), rand.getrandbits(40)))
        grown += len(rows[-1])
    return b"".join((*rows, tail))


def digest_of(name: str, form: str, data: bytes) -> str:
    """A digest in one of the forms in which APIs announce one."""
    digest = hashlib.new(name, data, usedforsecurity=False)
    prefix = {"sha256": "sha256:", "md5": "md5:"}[name]
    return {
        "hex": digest.hexdigest(),
        "upper": digest.hexdigest().upper(),
        "base64": base64.b64encode(digest.digest()).decode(),
        "quoted": f'"{digest.hexdigest()}"',
        "prefixed": prefix + digest.hexdigest(),
    }[form]
