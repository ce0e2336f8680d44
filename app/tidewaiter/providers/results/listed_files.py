"""Lists of files: the links in a reply, and the request for each file, compiled from a spec's tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from tidewaiter.domain.http_values import Json, Link, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.requests.request_building import ORIGINS, compile_request
from tidewaiter.providers.results.announced_digests import read_digests
from tidewaiter.providers.results.named_headers import compile_named_headers, compile_named_secrets
from tidewaiter.providers.spec.results_spec import DownloadSpec, FilesSpec, ResultsSpec
from tidewaiter.providers.values.addresses import last_segment, origin_of, url_fault
from tidewaiter.providers.values.jmespath_expressions import Search, compile_expression, is_true
from tidewaiter.providers.values.template import ITEM, references_in
from tidewaiter.providers.values.texts import as_count, as_note, as_text, as_url

LONGEST_LABEL: Final = 255
_LONGEST_VALUE: Final = 2048
_NO_URL: Final = "/"
_MOST_HIDDEN: Final = 100


@dataclass(frozen=True, slots=True)
class TooManyFiles:
    """A reply lists more files than are accepted."""

    files: int


ReadValues: TypeAlias = Callable[[Json], Mapping[str, Json]]
"""Picks the values of an item that requests refer to as ``${item.NAME}``."""
BuildDownload: TypeAlias = Callable[[Job, str], WireRequest]
"""Builds the request for a file, from a job that has the values of its item, and from the link of the item."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads the files that a JSON document lists."""

    lists: tuple["_Files", ...]
    send_auth: bool
    send_auth_if: Search | None
    unpack: str | None

    def links(self, job: Job, document: Json, base: str, most: int) -> tuple[Link, ...] | TooManyFiles | str:
        """The links to the files, or the fault of one of them: a file without a usable URL is not skipped.

        Args:
            job: the job; where lists are nested, with the values of the items above.
            document: a reply, or an item of a list.
            base: the URL that relative links begin at.
            most: the number of files that are accepted.
        """
        send_auth = self.send_auth
        if self.send_auth_if is not None and (decided := self.send_auth_if(document)) is not None:
            send_auth = is_true(decided)
        listed = [(files, files.items(document)) for files in self.lists]
        count = sum(len(items) for _, items in listed)
        if count > most:
            return TooManyFiles(count)
        links = [files.link(job, item, base, send_auth) for files, items in listed for item in items]
        fault = next((link for link in links if isinstance(link, str)), None)
        return fault or tuple(packed(link, self.unpack) for link in links if isinstance(link, Link))

    def secrets(self, document: Json) -> Iterator[str]:
        """What may be secret in the header fields that a document names, before any of it is quoted."""
        for files in self.lists:
            if files.secrets is not None:
                yield from (value for item in files.items(document)[:_MOST_HIDDEN] for value in files.secrets(item))

    def finds(self, document: Json) -> bool:
        """Whether one of the lists is there, even if it is empty."""
        return any(files.each(document) is not None for files in self.lists)


@dataclass(frozen=True, slots=True)
class _Files:
    """A compiled list of files: its items, the link of an item or its fault, and the secrets in its header fields."""

    each: Search
    items: Callable[[Json], list[Json]]
    link: Callable[[Job, Json, str, bool], Link | str]
    secrets: Callable[[Json], Iterator[str]] | None = None


def compile_file_reader(spec: ResultsSpec, base_url: str, settings: Mapping[str, Json]) -> FileReader:
    """The reader of the lists of files of a ``results`` table."""
    return FileReader(
        tuple(_compile_files(files, base_url, settings) for files in spec.files),
        spec.send_auth,
        None if spec.send_auth_if is None else compile_expression(spec.send_auth_if),
        spec.unpack,
    )


def compile_values(values: Mapping[str, str]) -> ReadValues:
    """The function that picks values from an item; what is no text, number or boolean counts as absent."""
    searches = {name: compile_expression(expression) for name, expression in values.items()}

    def read(item: Json) -> Mapping[str, Json]:
        found = {name: search(item) for name, search in searches.items()}
        return {name: value for name, value in found.items() if _is_value(value)}

    return read


def with_item(job: Job, values: Mapping[str, Json]) -> Job:
    """The job with these values for ``${item.NAME}``; they are passed as parameters that no parameter's name can be."""
    return job.but(params={**job.params, **{f"{ITEM}{name}": value for name, value in values.items()}})


def absent_values(template: str, job: Job) -> list[str]:
    """The names of the items' values that a URL's template needs and that the job does not have."""
    needed = [one for one in references_in(template) if one.scope == "item" and one.otherwise is None]
    return [one.name for one in needed if job.params.get(f"{ITEM}{one.name}") is None]


def _is_value(value: Json) -> bool:
    text = as_text(value)
    return text is not None and 0 < len(text) <= _LONGEST_VALUE


def _compile_files(spec: FilesSpec, base_url: str, settings: Mapping[str, Json]) -> _Files:
    each = compile_expression(spec.each or "@")
    url = compile_expression(spec.url)
    label, count, size = _optional(spec.label), _optional(spec.count), _optional(spec.size)
    kind, sha256, md5 = _optional(spec.media_type), _optional(spec.sha256), _optional(spec.md5)
    gzip, request = _optional(spec.gzip), _compile_request(spec, base_url, settings)
    headers = compile_named_headers(spec.headers)

    def items(document: Json) -> list[Json]:
        found = each(document)
        return found if isinstance(found, list) else [] if found is None else [found]

    def read(job: Job, item: Json, base: str, send_auth: bool) -> Link | str:
        asked = request(job, item, lambda: _address_of(url(item), base))
        if isinstance(asked, str):
            return f"a file is listed {asked}"
        named = headers(item)
        if isinstance(named, str):
            return f"a file is listed {named}"
        digests, unread = read_digests({"sha256": sha256(item), "md5": md5(item)})
        link = Link(
            asked.url,
            as_note(label(item), LONGEST_LABEL) or name_in(asked.url),
            send_auth,
            as_note(kind(item)),
            as_count(size(item)),
            as_count(count(item)),
            digests.get("sha256"),
            digests.get("md5"),
            is_true(gzip(item)),
            unread,
            named_headers=named,
        )
        return link if spec.download is None else as_requested(link, asked)

    secrets = None if spec.headers is None else compile_named_secrets(spec.headers)
    return _Files(each, items, read, secrets)


def _address_of(named: Json, base: str) -> WireRequest | str:
    """The plain request for the link of an item, or why it cannot be used, as the end of a sentence."""
    address = as_url(named, base)
    if address is not None:
        return WireRequest("GET", address)
    why = url_fault(base, named) if isinstance(named, str) else "it is no text"
    return f"with a URL that cannot be used, {why}"


_Address: TypeAlias = Callable[[], WireRequest | str]


def _compile_request(
    spec: FilesSpec, base_url: str, settings: Mapping[str, Json]
) -> Callable[[Job, Json, _Address], WireRequest | str]:
    """The function that gives the request for the file of an item, or why there is none."""
    download = spec.download
    if download is None:
        return lambda _job, _item, address: address()
    build, values = compile_download(download, base_url, settings), compile_values(spec.values)
    bases = (base_url, *(str(value) for name, value in settings.items() if name.startswith(ORIGINS)))
    own = frozenset(map(origin_of, bases))

    def request(job: Job, item: Json, address: _Address) -> WireRequest | str:
        filled = with_item(job, values(item)) if spec.values else job
        absent = absent_values(download.url, filled)
        if absent:
            return f"without {' and '.join(absent)}, which its address needs"
        link = WireRequest("GET", "") if download.url else address()
        if isinstance(link, str):
            return link
        try:
            asked = build(filled, link.url)
        except UnsendableError as error:
            return f"whose request cannot be built: {error}"
        if asked.method != "GET" and origin_of(asked.url) not in own:
            return f"at another origin than the provider's, which gets no {asked.method}"
        return asked

    return request


def compile_download(spec: DownloadSpec, base_url: str, settings: Mapping[str, Json]) -> BuildDownload:
    """The function that builds the request for a file."""
    if spec.url:
        build = compile_request(spec, base_url, settings)
        return lambda job, _link: build(job, None)
    rest = compile_request(spec.model_copy(update={"url": _NO_URL}), "", settings)

    def at_link(job: Job, link: str) -> WireRequest:
        request = rest(job, None)
        query = request.url.partition("?")[2]
        joint = "" if not query else "&" if urlsplit(link).query else "?"
        return replace(request, url=f"{link}{joint}{query}")

    return at_link


def packed(link: Link, unpack: str | None) -> Link:
    """A link to a file that is packed as ``results.unpack`` says."""
    if unpack is None:
        return link
    return replace(link, gzip=True) if unpack == "gzip" else replace(link, archive=unpack)


def as_requested(link: Link, request: WireRequest) -> Link:
    """The link with the method, the headers, the body and the credentials of its request."""
    body = None if request.body is None else request.body.decode("latin-1")
    headers = tuple(request.headers.items())
    return replace(link, url=request.url, method=request.method, headers=headers, body=body, auth=request.auth)


def name_in(url: str) -> str:
    """The file name in a URL, as a safe label."""
    return as_note(last_segment(url), LONGEST_LABEL) or ""


def _optional(expression: str | None) -> Search:
    return compile_expression(expression) if expression is not None else lambda _item: None
