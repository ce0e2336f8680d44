"""Results: the place of a finished remote job's files, compiled from a spec's table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tidewaiter.domain.http_values import Json, Link, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_rules import Rules
from tidewaiter.providers.replies.xml_replies import XmlForm, xml_form
from tidewaiter.providers.requests.request_building import BuildHeaders, compile_headers
from tidewaiter.providers.results.listed_files import (
    BuildDownload,
    FileReader,
    TooManyFiles,
    as_requested,
    compile_download,
    compile_file_reader,
    name_in,
    packed,
)
from tidewaiter.providers.results.nested_lists import NestedLists, compile_levels
from tidewaiter.providers.results.one_link import compile_one_link
from tidewaiter.providers.results.paged_lists import PagedList, compile_pages
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.results_spec import DownloadSpec, ResultsSpec
from tidewaiter.providers.values.jmespath_expressions import Search, compile_expression
from tidewaiter.providers.values.template import always, compile_text


@dataclass(frozen=True, slots=True)
class InlineFile:
    """The file is the body of the reply that says ready; with ``head`` it is the status and header fields."""

    head: bool


@dataclass(frozen=True, slots=True)
class OneFile:
    """The file has a request that the spec gives; ``send_auth`` says whether the credentials go with it."""

    build: BuildDownload
    send_auth: bool


@dataclass(frozen=True, slots=True)
class FileLists:
    """The reply that says ready lists the files."""

    reader: FileReader
    base_url: str

    def read(self, job: Job, reading: Reading, most: int) -> tuple[Link, ...] | TooManyFiles | str | None:
        """The links in a reply, the fault of one of them, or ``None`` if the reply cannot be read."""
        document = reading.document()
        if reading.malformed:
            return None
        return self.reader.links(job, document, reading.url or f"{self.base_url}/", most)


@dataclass(frozen=True, slots=True)
class JoinedPages:
    """The file is a list over several pages, joined into CSV, an array of JSON, or JSON with one item a line."""

    pages: PagedList
    join: Literal["json", "jsonl", "csv"]


ResultSource: TypeAlias = InlineFile | OneFile | FileLists | NestedLists | JoinedPages


@dataclass(frozen=True, slots=True)
class Results:
    """The compiled ``results`` table.

    ``label`` names the one file where it is inline, or where the spec names it; it is empty where the URL names it.
    ``headers`` go with every request for a file. ``while_running`` says of a reply about a running remote job whether
    files are listed already.
    """

    source: ResultSource
    label: Callable[[Job], str]
    headers: BuildHeaders
    rules: Rules
    while_running: Search | None = None
    only_new: bool = False
    """Whether each reply lists only files that no reply before has listed."""
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
        return packed(Link(url, self.label(job) or name_in(url), send_auth, gzip=gzip), self.unpack)

    def requested(self, job: Job, request: WireRequest, *, send_auth: bool) -> Link:
        """A link to the job's one file, with the method, headers and body of its request."""
        return as_requested(self.link(job, request.url, send_auth=send_auth), request)


def compile_results(
    spec: ResultsSpec, base_url: str, settings: Mapping[str, Json], key: str, reply: ReplySpec | None = None
) -> Results:
    """The compiled form of a ``results`` table; ``key`` is its place in the spec, ``reply`` how replies are read."""
    return Results(
        source=_compile_source(spec, base_url, settings, key, reply),
        label=_compile_label(spec, settings),
        headers=compile_headers(spec.headers, settings),
        rules=Rules(spec.rules, f"{key}.rules"),
        while_running=None if spec.while_running is None else compile_expression(spec.while_running),
        only_new=spec.only_new,
        unpack=spec.unpack,
        xml=xml_form(None if spec.resolve is None else spec.resolve.reply, reply),
    )


def _compile_source(
    spec: ResultsSpec, base_url: str, settings: Mapping[str, Json], key: str, reply: ReplySpec | None
) -> ResultSource:
    if (download := _download_of(spec)) is not None:
        return OneFile(compile_download(download, base_url, settings), spec.send_auth)
    if spec.resolve is not None:
        label = _compile_label(spec, settings)
        return compile_one_link(spec, spec.resolve, base_url, settings, key, label=label, reply=reply)
    if spec.pages is not None:
        pages = compile_pages(spec.pages, base_url, settings, f"{key}.pages", reply)
        return JoinedPages(pages, spec.pages.join)
    if spec.lists:
        rules = Rules(spec.rules, f"{key}.rules")
        levels = compile_levels(spec.lists, base_url, settings, f"{key}.lists", rules=rules, reply=reply)
        return NestedLists(levels, compile_file_reader(spec, base_url, settings), base_url)
    if spec.files:
        return FileLists(compile_file_reader(spec, base_url, settings), base_url)
    return InlineFile(head=spec.inline == "head")


def _download_of(spec: ResultsSpec) -> DownloadSpec | None:
    """The request for the one file; ``url`` is short for a GET."""
    return spec.download if spec.url is None else DownloadSpec(url=spec.url)


def _compile_label(spec: ResultsSpec, settings: Mapping[str, Json]) -> Callable[[Job], str]:
    render = always(compile_text(spec.label or "", settings))
    return lambda job: str(render(job, None) or "")
