"""Lists over several pages, for results and for the search for a remote job."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tidewaiter.providers.spec.field_types import (
    Expression,
    Items,
    Name,
    Picks,
    SpecTable,
    Text,
)
from tidewaiter.providers.spec.request_spec import RequestSpec, RuleSpec, Words

PageEffect = Literal["empty", "pending", "expired", "again", "retry", "refused", "throttled", "unauthorized"]


class PageRule(RuleSpec):
    """What a reply to a request for a page means."""

    then: PageEffect | None = None
    words: Words[PageEffect] = Field(default={})


class PagesByParams(SpecTable):
    """The names of parameters by which a job selects a part of a list.

    Each is used only if the job has it.
    """

    size: Name | None = Field(default=None, description="replaces `size`")
    number: Name | None = Field(default=None, description="the number of the first page")
    offset: Name | None = Field(default=None, description="the number of items before the first page")
    one_page: Name | None = Field(
        default=None,
        description='if the job has it, the list ends after one page: `{ size = "limit", one_page = "limit" }`',
    )


class PageSpec(RequestSpec):
    """A request for one page of a list. ``${page.next}`` is the cursor, ``${page.number}`` counts from 1.

    The last page is the one without a cursor or URL, or for which ``last`` is true. No cursor, and no URL, is what is
    missing, null, ``false``, empty, or the number 0 (the text ``"0"`` is a cursor); what is there and cannot be asked
    for is an error. Where none of the three is given, or ``last`` finds nothing in the reply, the last page is the
    first one with fewer than ``size`` items, or without any, or the one that the next one repeats: a list that ignores
    the number of the page. A request without ``${page.next}``, ``${page.number}`` and ``${page.offset}`` has one page.
    It is an error if a cursor is repeated, or if a page repeats the one before and is exactly full, or is not the last
    one by ``last``.

    If ``items`` finds null instead of the array, the page has no items. If it finds nothing, the reply is no page.
    """

    size: int | None = Field(default=None, ge=1, description="items of a full page; also `${page.size}`")
    items: Expression | None = Field(default=None, description="JMESPath to the array of items")
    next: Picks = Field(default=(), description="the cursor of the next page")
    next_url: Picks = Field(
        default=(),
        description="instead of `next`: the URL of the next page, absolute or relative, requested with the "
        "same method, headers and body",
    )
    last: Expression | None = Field(default=None, description="JMESPath that is true on the last page")
    last_values: Items[Text] = Field(default=(), description="values of `next` that mean that there is no next page")
    by_params: PagesByParams = Field(
        default=PagesByParams(),
        description="integer parameters by which a job selects a part of the list, if it has them",
    )
    rules: Items[PageRule] = Field(default=(), description="what the reply means if it is no page")

    @model_validator(mode="after")
    def _names_next_page_once(self) -> Self:
        if self.next and self.next_url:
            raise ValueError("a page names the next one by next or by next_url")
        if self.last_values and not self.next:
            raise ValueError("last_values are for next, and there is none")
        return self


class ListSpec(PageSpec):
    """One of the lists that lead to the files: ``${item.NAME}`` are values of the items of the lists above.

    The first list is requested once, each following one once for every item of the list above it, page by page.
    Without ``items`` a reply is one item as a whole.
    """

    first: Literal["poll"] | None = Field(
        default=None,
        description="`poll`: the reply to the poll that says ready is the first page, which is not requested again. "
        "Only for the first list. `url` is requested if the rest of the list could not be read then",
    )
    values: Mapping[Name, Expression] = Field(
        default={},
        description="values of an item, for ${item.NAME} in the lists below and in files.download: text, numbers and "
        "booleans",
    )


class PagesSpec(PageSpec):
    """A list over several pages, joined into one file: one array of JSON, JSON with an item a line, or one CSV."""

    join: Literal["json", "jsonl", "csv"] = Field(
        default="json",
        description="`json`: one array of all `items`; `jsonl`: one item a line; `csv`: the header of the first "
        "page, and the rows of all",
    )

    @model_validator(mode="after")
    def _joinable(self) -> Self:
        if self.join != "csv" and self.items is None:
            raise ValueError("pages of JSON need items, the array to join")
        if self.join == "csv" and (self.items is not None or self.last is not None):
            raise ValueError("items and last look into JSON, and these pages are csv")
        return self
