"""Where the files of a finished remote job are."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tidewaiter.providers.spec.field_types import (
    Expression,
    Items,
    OneOrMore,
    Picks,
    SentHeaderName,
    SpecTable,
    SpecVariant,
    Text,
)
from tidewaiter.providers.spec.list_spec import PagesSpec
from tidewaiter.providers.spec.request_spec import RequestSpec, RuleSpec, UrlTemplate, Words

FileEffect = Literal["pending", "expired", "retry", "refused", "throttled", "unauthorized"]


class FileRule(RuleSpec):
    """What the reply of a file host, or the reply to ``resolve``, means if it does not give the file."""

    then: FileEffect | None = None
    words: Words[FileEffect] = Field(default={})


class ResolveSpec(RequestSpec):
    """A request whose reply names the file; the rules of the results also apply to it."""

    link: Picks = Field(min_length=1)
    gzip: Picks = Field(default=(), description="true if the file may be gzip-compressed; it lands decompressed")
    send_auth_if: Picks = Field(default=(), description="replaces send_auth if it finds a value")


class FilesSpec(SpecTable):
    """A list of files in the reply that says ready; all keys but ``each`` are JMESPath on its items.

    If ``each`` finds nothing, there are no such files; zero files are a success.
    """

    each: Expression
    url: Expression = "url"
    label: Expression | None = None
    count: Expression | None = Field(default=None, description="records in the file")
    size: Expression | None = Field(default=None, description="bytes in the file")
    media_type: Expression | None = None
    sha256: Expression | None = Field(default=None, description="in hexadecimal or Base64")
    md5: Expression | None = Field(default=None, description="in hexadecimal or Base64")
    gzip: Expression | None = Field(
        default=None, description="true if the file may be gzip-compressed; it lands decompressed"
    )


_OF_THE_DOWNLOAD = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "if-match", "if-modified-since", "if-none-match"}
    | {"if-range", "if-unmodified-since", "range", "te", "transfer-encoding"}
)


class ResultsSpec(SpecVariant):
    """Where the files are.

    ``inline``: the reply that says ready; a fixed ``url``; lists of ``files``; ``pages`` that are joined; or
    ``resolve``, a request for the link. ``inline = "head"`` lands the status and the header fields of the reply, as
    JSON.

    ``send_auth`` says whether the account's credentials are sent with a download from the provider's own origin; with
    ``files``, ``send_auth_if`` may decide. ``label`` names the one file. ``headers`` are sent with every download, and
    with ``inline`` with the poll and the submit whose reply is the file; other origins get only those that do not
    concern the account, such as Accept.
    """

    inline: Literal[True, "head"] | None = None
    url: UrlTemplate | None = None
    files: OneOrMore[FilesSpec] = ()
    pages: PagesSpec | None = None
    resolve: ResolveSpec | None = None
    label: Text | None = None
    send_auth: bool = True
    send_auth_if: Expression | None = Field(default=None, description="JMESPath on the reply that lists the files")
    headers: Mapping[SentHeaderName, str] = Field(default={}, description="sent with every download, such as Accept")
    unpack: Literal["zip", "tar.gz", "gzip"] | None = Field(
        default=None,
        description="how every file is packed: gzip lands the unpacked file, zip and tar.gz the members of the archive",
    )
    rules: Items[FileRule] = ()

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
        asked = (self.url, self.pages, self.resolve)
        places = (self.inline is not None, bool(self.files), *(one is not None for one in asked))
        if sum(places) != 1:
            raise ValueError("needs exactly one of inline, url, files, pages and resolve")
        if self.pages is not None and (self.rules or not self.send_auth):
            raise ValueError("rules and send_auth are for files; pages have rules of their own, and are always signed")
        if self.pages is not None and self.headers:
            raise ValueError("headers are for files; a request for pages has headers of its own, in pages.headers")
        own = sorted(name for name in self.headers if name.lower() in _OF_THE_DOWNLOAD)
        if own:
            raise ValueError(f"headers may not have {', '.join(own)}, which a download sets itself: remove it")
        if self.files and self.label is not None:
            raise ValueError("label names one file; a list of files has its own")
        if self.send_auth_if is not None and not self.files:
            raise ValueError("send_auth_if is for a list of files, and there is none")
        return self
