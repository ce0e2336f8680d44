"""Where the files of a finished remote job are."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tidewaiter.providers.spec.field_types import (
    Expression,
    Items,
    Keep,
    Name,
    OneOrMore,
    Picks,
    SentHeaderName,
    SpecTable,
    SpecVariant,
    Text,
)
from tidewaiter.providers.spec.list_spec import ListSpec, PagesSpec
from tidewaiter.providers.spec.request_spec import RequestSpec, RuleSpec, UrlTemplate, Words

FileEffect = Literal["pending", "expired", "again", "retry", "refused", "throttled", "unauthorized"]


class FileRule(RuleSpec):
    """What the reply of a file host, or the reply to ``resolve``, means if it does not give the file."""

    then: FileEffect | None = None
    words: Words[FileEffect] = Field(default={})


class ResolveSpec(RequestSpec):
    """A request whose reply names the file; the rules of the results also apply to it."""

    link: Picks = Field(min_length=1, description="the place of the URL in the reply")
    gzip: Picks = Field(default=(), description="whether the file may be gzip-compressed; then it lands decompressed")
    send_auth_if: Picks = Field(
        default=(), description="if a value is found, the credentials are sent with the download, else not"
    )
    keep: Keep = Field(
        default={}, description="values of the reply by their names, for `cleanup`: `${kept.NAME}`; kept with the files"
    )


class DownloadSpec(RequestSpec):
    """How a file is requested. Templates may also have ``${item.NAME}``, a value of the file's item.

    The request must do no harm if it is repeated: after a failure the file is requested again. Only a GET goes on where
    the download broke off. A redirect of a POST is followed: with 303, 301 and 302 by a GET, with 307 and 308 by the
    same POST, and only within the provider's own origin. A POST goes to the provider's own origin only.
    """

    method: Literal["GET", "POST"] = "GET"
    url: UrlTemplate = Field(default="", description="in a list of files it replaces the link of the item")


class FilesSpec(SpecTable):
    """A list of files in the reply that says ready, or with ``lists`` in every item of the last list.

    All keys but ``each`` and ``download`` are JMESPath on the items of the list. If ``each`` finds nothing, there are
    no such files; zero files are a success.
    """

    each: Expression | None = Field(
        default=None,
        description="JMESPath on the reply, or on an item of the last list: a list, or one item. If it finds nothing, "
        "there are no files, which is a success. Required without `lists`; with them the item itself",
    )
    url: Expression = Field(default="url", description="the address of the file, absolute or relative")
    label: Expression | None = Field(default=None, description="its name; by default the end of its URL")
    count: Expression | None = Field(default=None, description="records in the file, for the manifest; not verified")
    size: Expression | None = Field(default=None, description="bytes in the file, verified")
    media_type: Expression | None = Field(default=None, description="its media type")
    sha256: Expression | None = Field(
        default=None,
        description="in hexadecimal or Base64, also in quotation marks or after the name of the algorithm; verified",
    )
    md5: Expression | None = Field(default=None, description="the same")
    gzip: Expression | None = Field(
        default=None,
        description="true if the file may be gzip-compressed: then it lands decompressed; size and checksums "
        "may be of either form",
    )
    headers: Expression | None = Field(
        default=None,
        description="an object of header fields that the reply names for the request of the file. They are sent to the"
        " host of its link only, and replace no field of the spec or of Tidewaiter",
    )
    values: Mapping[Name, Expression] = Field(
        default={}, description="values of the item, for ${item.NAME} in download: text, numbers and booleans"
    )
    download: DownloadSpec | None = Field(default=None, description="the request for a file, if it is no plain GET")

    @model_validator(mode="after")
    def _asked_in_one_way(self) -> Self:
        if self.download is None:
            if self.values:
                raise ValueError("values are for download, and there is none: remove them, or write the request")
            return self
        if self.download.url and "url" in self.model_fields_set:
            raise ValueError("the address of a file stands in url and in download.url: remove one of them")
        _check_headers(self.download.headers)
        return self


OF_THE_DOWNLOAD = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "if-match", "if-modified-since", "if-none-match"}
    | {"if-range", "if-unmodified-since", "range", "te", "transfer-encoding"}
)


def _check_headers(headers: Mapping[str, str]) -> None:
    own = sorted(name for name in headers if name.lower() in OF_THE_DOWNLOAD)
    if own:
        raise ValueError(f"headers may not have {', '.join(own)}, which a download sets itself: remove it")


class ResultsSpec(SpecVariant):
    """Where the files are: exactly one of ``inline``, ``url``, ``download``, ``files``, ``pages`` and ``resolve``.

    ``files`` are named by the reply that says ready, or by requests for ``lists``. ``rules`` also apply to the replies
    to ``resolve`` and for ``lists``. Other origins than that of ``base_url`` get only those ``headers`` that do not
    concern the account, such as Accept.
    """

    inline: Literal[True, "head"] | None = Field(
        default=None,
        description="`true`: the reply that says ready is the file; `head`: its status and header fields are "
        "the file, as JSON",
    )
    url: UrlTemplate | None = Field(default=None, description="the address of the one file, as in a request")
    download: DownloadSpec | None = Field(
        default=None, description="the request for the one file, with a method, headers and a body of its own"
    )
    files: OneOrMore[FilesSpec] = Field(
        default=(), description="lists of files in the reply that says ready, or in the items of the last list"
    )
    lists: OneOrMore[ListSpec] = Field(
        default=(), description="requests for lists, each for the items of the one above; `files` reads the last one"
    )
    while_running: Expression | None = Field(
        default=None,
        description="JMESPath on a reply that says pending or running: if it is true, files are listed already and are "
        "fetched; the list of every later reply must have them, too, unless `only_new`",
    )
    only_new: bool = Field(
        default=False,
        description="with `while_running`: every reply lists only files that no reply before has listed, so the links"
        " of all replies are kept, and all of their files are the result",
    )
    pages: PagesSpec | None = Field(
        default=None, description="a request for a list, page by page, that is joined into the one file"
    )
    resolve: ResolveSpec | None = Field(default=None, description="a request whose reply names the one file")
    label: Text | None = Field(default=None, description="the name of the one file")
    send_auth: bool = Field(
        default=True,
        description="whether the credentials are sent with the download; never to another origin than that of"
        " `base_url`",
    )
    send_auth_if: Expression | None = Field(
        default=None, description="with `files`: JMESPath on the reply; replaces `send_auth` if it finds a value"
    )
    headers: Mapping[SentHeaderName, str] = Field(
        default={},
        description="headers of every download, such as `Accept`; with `inline` of poll and submit, whose own"
        " headers have priority. Not with `pages`",
    )
    unpack: Literal["zip", "tar.gz", "gzip"] | None = Field(
        default=None,
        description="how every file is packed: `gzip` lands the unpacked file, `zip` and `tar.gz` the members of the"
        " archive",
    )
    rules: Items[FileRule] = Field(
        default=(), description="what the reply to a download means; rules see the first 4 KiB of it"
    )

    @model_validator(mode="after")
    def _files_of_lists(self) -> Self:
        if self.lists and not self.files:
            raise ValueError("lists lead to files: write files, which reads the items of the last list")
        if not self.lists and any(one.each is None for one in self.files):
            raise ValueError("files needs each, the place of the list in the reply that says ready")
        if any(one.first is not None for one in self.lists[1:]):
            raise ValueError("only the first of the lists can have first: the others are requested for each item")
        names = [name for one in self.lists for name in one.values]
        twice = sorted(
            {name for name in names if names.count(name) > 1}
            | {name for one in self.files for name in one.values if name in names}
        )
        if twice:
            raise ValueError(f"values of several lists have the name {', '.join(twice)}: give each a name of its own")
        return self

    @model_validator(mode="after")
    def _unpacked_once(self) -> Self:
        if self.unpack is None:
            return self
        if self.pages is not None or self.inline == "head":
            what = "pages" if self.pages is not None else 'inline = "head"'
            raise ValueError(f"unpack is for files that come packed, and {what} makes the file here: remove unpack")
        if any(files.gzip is not None for files in self.files) or (self.resolve is not None and self.resolve.gzip):
            raise ValueError("unpack says how every file is packed, and gzip decides for each: keep one of them")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        asked = (self.url, self.download, self.pages, self.resolve)
        places = (self.inline is not None, bool(self.files), *(one is not None for one in asked))
        if self.files and self.download is not None:
            raise ValueError("download is for one file; the request for a file of a list stands in files.download")
        if sum(places) != 1:
            raise ValueError("needs exactly one of inline, url, download, files, pages and resolve")
        if self.download is not None and not self.download.url:
            raise ValueError("download needs a url, because there is no list with the link of the file")
        if self.pages is not None and (self.rules or not self.send_auth):
            raise ValueError("rules and send_auth are for files; pages have rules of their own, and are always signed")
        if self.pages is not None and self.headers:
            raise ValueError("headers are for files; a request for pages has headers of its own, in pages.headers")
        for headers in (self.headers, {} if self.download is None else self.download.headers):
            _check_headers(headers)
        if self.files and self.label is not None:
            raise ValueError("label names one file; a list of files has its own")
        return self

    @model_validator(mode="after")
    def _of_a_list_of_files(self) -> Self:
        if self.while_running is not None and not self.files:
            raise ValueError("while_running is for a list of files, and there is none")
        if self.only_new and (self.while_running is None or self.lists):
            raise ValueError("only_new is for files in the replies to polls: it needs while_running, and no lists")
        if self.send_auth_if is not None and not self.files:
            raise ValueError("send_auth_if is for a list of files, and there is none")
        return self
