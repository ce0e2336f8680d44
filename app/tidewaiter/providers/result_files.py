"""Results: the place of a finished remote job's files, compiled from a spec's table, and announced digests."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tidewaiter.domain.http_values import Json, Link
from tidewaiter.domain.job import Job
from tidewaiter.providers.extract import as_count, as_note, as_url, compile_pick
from tidewaiter.providers.jmespath_expressions import Search, compile_expression, is_true
from tidewaiter.providers.paged_lists import PagedList, compile_pages
from tidewaiter.providers.reply import Reading, last_segment, url_fault
from tidewaiter.providers.reply_rules import Rules
from tidewaiter.providers.request_building import (
    Build,
    BuildHeaders,
    BuildUrl,
    compile_headers,
    compile_request,
    compile_url,
)
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.results_spec import FilesSpec, ResolveSpec, ResultsSpec
from tidewaiter.providers.template import always, compile_text
from tidewaiter.providers.xml_replies import XmlForm, xml_form

Algorithm: TypeAlias = Literal["sha256", "md5"]

_BYTES = {"sha256": 32, "md5": 16}
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9]*(?:-[0-9]+)?)\s*[:=-]\s*(.+)", re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_LONGEST = 1024


# --- digests ----------------------------------------------------------------------------------------------------------


class DigestError(ValueError):
    """An announced digest cannot be read; the message quotes its beginning."""


def read_digest(value: Json, algorithm: Algorithm) -> str | None:
    """An announced digest in lower-case hexadecimal.

    Args:
        value: hexadecimal, Base64 or base64url, with or without padding, quotes and the algorithm's name before it; or
            a list of these; the one with the algorithm's name counts.
        algorithm: the expected one.

    Returns:
        ``None`` if nothing was announced: null or blank text.

    Raises:
        DigestError: the value is no digest of this algorithm.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        # No form of a digest contains a comma, so this is a list of several.
        for text in value[:_LONGEST].split(","):
            found = _one(text, algorithm)
            if found is not None:
                return found
    raise DigestError(f"{str(value)[:80]!r} cannot be read as a digest of {algorithm}")


def _one(text: str, algorithm: Algorithm) -> str | None:
    text = _unquoted(text)
    plain = _bytes_of(text, algorithm)
    if plain is not None:
        return plain
    named = _NAMED.fullmatch(text)
    if named is None or named[1].replace("-", "").lower() != algorithm:
        return None
    return _bytes_of(_unquoted(named[2]), algorithm)


def _unquoted(text: str) -> str:
    text = text.strip()
    for mark in ('"', "'", ":"):
        if len(text) > 1 and text.startswith(mark) and text.endswith(mark):
            text = text[1:-1].strip()
    return text


def _bytes_of(text: str, algorithm: Algorithm) -> str | None:
    size = _BYTES[algorithm]
    if len(text) == 2 * size:
        return text.lower() if _HEX.fullmatch(text) else None
    if not _BASE64.fullmatch(text):
        return None
    unpadded = text.rstrip("=").replace("-", "+").replace("_", "/")
    if len(unpadded) != (size * 8 + 5) // 6:
        return None
    return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4)).hex()


# --- results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TooManyFiles:
    """A reply lists more files than are accepted."""

    files: int


ReadLinks: TypeAlias = Callable[[Reading, int], tuple[Link, ...] | TooManyFiles | str | None]
"""Reads a limited number of links from a reply: the links, the fault of one of them, or ``None`` if the reply cannot be
read."""
ReadUrl: TypeAlias = Callable[[Reading], str | None]

_LONGEST_LABEL = 255


@dataclass(frozen=True, slots=True)
class InlineFile:
    """The file is the body of the reply that says ready; with ``head`` it is the status and header fields."""

    head: bool


@dataclass(frozen=True, slots=True)
class FixedUrl:
    """The file is at a URL that the spec gives; ``send_auth`` says whether the credentials go with the request."""

    build: BuildUrl
    send_auth: bool


@dataclass(frozen=True, slots=True)
class FileLists:
    """The reply that says ready lists the files."""

    read: ReadLinks


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A second request asks for the link to the file.

    ``url`` reads the link from the reply, ``url_fault`` why the link cannot be used. ``gzip`` reads whether the file
    may be packed, ``send_auth`` whether the credentials go with the download.
    """

    build: Build
    url: ReadUrl
    url_fault: ReadUrl
    gzip: Callable[[Reading], bool]
    send_auth: Callable[[Reading], bool]


@dataclass(frozen=True, slots=True)
class JoinedPages:
    """The file is a list over several pages, joined into CSV, an array of JSON, or JSON with one item a line."""

    pages: PagedList
    join: Literal["json", "jsonl", "csv"]


ResultSource: TypeAlias = InlineFile | FixedUrl | FileLists | LinkRequest | JoinedPages


@dataclass(frozen=True, slots=True)
class Results:
    """The compiled ``results`` table.

    ``label`` names the one file where it is inline, or where the spec names it; it is empty where the URL names it.
    ``headers`` go with every request for a file.
    """

    source: ResultSource
    label: Callable[[Job], str]
    headers: BuildHeaders
    rules: Rules
    unpack: str | None = None
    """How every file is packed: gzip, or a kind of archive."""
    xml: XmlForm | None = None
    """How the replies of ``resolve``, and those in place of a file, are read."""

    @property
    def is_inline(self) -> bool:
        """Whether the reply that says ready is the file, or its head is."""
        return isinstance(self.source, InlineFile)

    @property
    def is_head(self) -> bool:
        """Whether the head of the reply that says ready is the file: its status and header fields, as JSON."""
        return isinstance(self.source, InlineFile) and self.source.head

    @property
    def is_body(self) -> bool:
        """Whether the body of the reply that says ready is the file."""
        return isinstance(self.source, InlineFile) and not self.source.head

    @property
    def in_ready_reply(self) -> bool:
        """Whether the reply that says ready contains the files, or links to them."""
        return isinstance(self.source, InlineFile | FileLists)

    def link(self, job: Job, url: str, *, send_auth: bool, gzip: bool = False) -> Link:
        """A link to the job's one file."""
        return packed(Link(url, self.label(job) or _name_in(url), send_auth, gzip=gzip), self.unpack)


def packed(link: Link, unpack: str | None) -> Link:
    """A link to a file that is packed as ``results.unpack`` says."""
    if unpack is None:
        return link
    return replace(link, gzip=True) if unpack == "gzip" else replace(link, archive=unpack)


def compile_results(
    spec: ResultsSpec, base_url: str, settings: Mapping[str, Json], key: str, reply: ReplySpec | None = None
) -> Results:
    """The compiled form of a ``results`` table; ``key`` is its place in the spec, ``reply`` how replies are read."""
    return Results(
        source=_compile_source(spec, base_url, settings, key, reply),
        label=_compile_label(spec, settings),
        headers=compile_headers(spec.headers, settings),
        rules=Rules(spec.rules, f"{key}.rules"),
        unpack=spec.unpack,
        xml=xml_form(None if spec.resolve is None else spec.resolve.reply, reply),
    )


def _compile_source(
    spec: ResultsSpec, base_url: str, settings: Mapping[str, Json], key: str, reply: ReplySpec | None
) -> ResultSource:
    if spec.url is not None:
        return FixedUrl(compile_url(spec.url, base_url, settings), spec.send_auth)
    if spec.resolve is not None:
        return _compile_link_request(spec.resolve, base_url, settings, send_auth=spec.send_auth)
    if spec.pages is not None:
        pages = compile_pages(spec.pages, base_url, settings, f"{key}.pages", reply)
        return JoinedPages(pages, spec.pages.join)
    if spec.files:
        return FileLists(_compile_listed(spec, base_url))
    return InlineFile(head=spec.inline == "head")


def _compile_label(spec: ResultsSpec, settings: Mapping[str, Json]) -> Callable[[Job], str]:
    render = always(compile_text(spec.label or "", settings))
    return lambda job: str(render(job, None) or "")


def _compile_link_request(
    spec: ResolveSpec, base_url: str, settings: Mapping[str, Json], *, send_auth: bool
) -> LinkRequest:
    link, gzip = compile_pick(spec.link), compile_pick(spec.gzip)

    def fault(reading: Reading) -> str | None:
        value = link(reading)
        reason = url_fault(reading.url or f"{base_url}/", value) if isinstance(value, str) else None
        return None if reason is None else f"a URL that cannot be used, {reason}"

    return LinkRequest(
        build=compile_request(spec, base_url, settings),
        url=lambda reading: as_url(link(reading), reading.url or f"{base_url}/"),
        url_fault=fault,
        gzip=lambda reading: is_true(gzip(reading)),
        send_auth=_compile_send_auth(spec, default=send_auth),
    )


def _compile_send_auth(spec: ResolveSpec, *, default: bool) -> Callable[[Reading], bool]:
    if not spec.send_auth_if:
        return lambda _reading: default
    pick = compile_pick(spec.send_auth_if)
    # Any value counts as true, except a literal false.
    return lambda reading: (found := pick(reading)) is not None and found is not False


def _compile_listed(spec: ResultsSpec, base_url: str) -> ReadLinks:
    lists = tuple(_compile_files(files) for files in spec.files)
    send_auth_if = None if spec.send_auth_if is None else compile_expression(spec.send_auth_if)

    def read(reading: Reading, most: int) -> tuple[Link, ...] | TooManyFiles | str | None:
        document = reading.document()
        if reading.malformed:
            return None
        send_auth = spec.send_auth
        if send_auth_if is not None and (decided := send_auth_if(document)) is not None:
            send_auth = is_true(decided)
        base = reading.url or f"{base_url}/"
        listed = [(files, files.items(document)) for files in lists]
        count = sum(len(items) for _, items in listed)
        if count > most:
            return TooManyFiles(count)
        links = [files.link(item, base, send_auth) for files, items in listed for item in items]
        # A file without a usable URL must not be skipped silently.
        fault = next((link for link in links if isinstance(link, str)), None)
        return fault or tuple(packed(link, spec.unpack) for link in links if isinstance(link, Link))

    return read


@dataclass(frozen=True, slots=True)
class _Files:
    """A compiled list of files: its items, and the link of an item or the fault of its URL."""

    items: Callable[[Json], list[Json]]
    link: Callable[[Json, str, bool], Link | str]


def _compile_files(spec: FilesSpec) -> _Files:
    each = compile_expression(spec.each)
    url = compile_expression(spec.url)
    label, count, size = _optional(spec.label), _optional(spec.count), _optional(spec.size)
    kind, sha256, md5 = _optional(spec.media_type), _optional(spec.sha256), _optional(spec.md5)
    gzip = _optional(spec.gzip)

    def items(document: Json) -> list[Json]:
        found = each(document)
        return found if isinstance(found, list) else [] if found is None else [found]

    def read(item: Json, base: str, send_auth: bool) -> Link | str:
        named = url(item)
        address = as_url(named, base)
        if address is None:
            why = url_fault(base, named) if isinstance(named, str) else "it is no text"
            return f"a file is listed with a URL that cannot be used, {why}"
        digests, unread = _digests({"sha256": sha256(item), "md5": md5(item)})
        return Link(
            address,
            as_note(label(item), _LONGEST_LABEL) or _name_in(address),
            send_auth,
            as_note(kind(item)),
            as_count(size(item)),
            as_count(count(item)),
            digests.get("sha256"),
            digests.get("md5"),
            is_true(gzip(item)),
            unread,
        )

    return _Files(items, read)


def _optional(expression: str | None) -> Search:
    return compile_expression(expression) if expression is not None else lambda _item: None


def _name_in(url: str) -> str:
    """The file name in a URL, as a safe label."""
    return as_note(last_segment(url), _LONGEST_LABEL) or ""


def _digests(announced: Mapping[Algorithm, Json]) -> tuple[dict[Algorithm, str | None], str | None]:
    """The digests in hexadecimal, and the faults of those that cannot be read."""
    digests: dict[Algorithm, str | None] = {}
    faults: list[str] = []
    for algorithm, value in announced.items():
        try:
            digests[algorithm] = read_digest(value, algorithm)
        except DigestError as error:
            faults.append(f"{algorithm}: {error}")
    return digests, "; ".join(faults) or None
