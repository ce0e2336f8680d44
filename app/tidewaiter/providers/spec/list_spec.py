"""Lists over several pages, for results and for the search for a remote job."""

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

    size: Name | None = Field(default=None, description="items of a full page, instead of size")
    number: Name | None = Field(default=None, description="the number of the first page")
    offset: Name | None = Field(default=None, description="the number of items before the first page")
    one_page: Name | None = Field(default=None, description="if the job has it, the list ends after one page")


class PageSpec(RequestSpec):
    """A request for one page of a list. ``${page.next}`` is the cursor, ``${page.number}`` counts from 1.

    The last page has no ``next`` or ``next_url``, or ``last`` is true for it. If none of them is given, or ``last``
    finds nothing, the last page is the first one with fewer than ``size`` items or without items, or one that the next
    page repeats. A request without cursor, number and offset has one page.
    """

    size: int | None = Field(default=None, ge=1, description="items of a full page, and ${page.size}")
    items: Expression | None = Field(default=None, description="JMESPath to the array of items")
    next: Picks = Field(default=(), description="the cursor of the next page")
    next_url: Picks = Field(default=(), description="the URL of the next page, absolute or relative")
    last: Expression | None = Field(default=None, description="JMESPath that is true on the last page")
    last_values: Items[Text] = Field(default=(), description="values of next that mean that there is no next page")
    by_params: PagesByParams = Field(default=PagesByParams(), description="parameters that select a part of the list")
    rules: Items[PageRule] = ()

    @model_validator(mode="after")
    def _names_next_page_once(self) -> Self:
        if self.next and self.next_url:
            raise ValueError("a page names the next one by next or by next_url")
        if self.last_values and not self.next:
            raise ValueError("last_values are for next, and there is none")
        return self


class PagesSpec(PageSpec):
    """A list over several pages, joined into one file: a JSON array of all items, or one CSV with one header."""

    join: Literal["json", "csv"] = "json"

    @model_validator(mode="after")
    def _joinable(self) -> Self:
        if self.join == "json" and self.items is None:
            raise ValueError("pages of JSON need items, the array to join")
        if self.join == "csv" and (self.items is not None or self.last is not None):
            raise ValueError("items and last look into JSON, and these pages are csv")
        return self
