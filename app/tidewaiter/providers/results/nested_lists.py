"""Lists that lead to files, compiled from the spec's tables: each list is requested for every item of the one above."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.providers.replies.reply_rules import Rules
from tidewaiter.providers.results.listed_files import FileReader, ReadValues, compile_values
from tidewaiter.providers.results.paged_lists import PagedList, compile_pages
from tidewaiter.providers.spec.list_spec import ListSpec
from tidewaiter.providers.spec.reply_spec import ReplySpec

_WHOLE_REPLY = "[@]"


@dataclass(frozen=True, slots=True)
class ListLevel:
    """One compiled list.

    ``url`` is the template of its address, ``key`` its place in the spec. ``whole``: a reply is one item as a whole.
    ``begins_with_poll``: the reply to the poll that says ready is the first page.
    """

    paged: PagedList
    values: ReadValues
    url: str
    key: str
    whole: bool
    begins_with_poll: bool = False


@dataclass(frozen=True, slots=True)
class NestedLists:
    """The source of the results: lists, and the reader of the items of the last one.

    ``one_file`` is there if they are one request whose reply names the one file: it gives the file's name, empty if the
    URL names it.
    """

    levels: tuple[ListLevel, ...]
    reader: FileReader
    base_url: str
    one_file: Callable[[Job], str] | None = None


def compile_levels(
    specs: Sequence[ListSpec],
    base_url: str,
    settings: Mapping[str, Json],
    key: str,
    *,
    rules: Rules,
    reply: ReplySpec | None,
) -> tuple[ListLevel, ...]:
    """The compiled lists.

    Args:
        specs: the lists, from the first to the last.
        base_url: the base of URLs that begin with ``/``.
        settings: the account's values.
        key: the place of the lists in the spec.
        rules: of the results; they apply to a reply that no rule of its list matches.
        reply: how replies are read, unless a list says otherwise.
    """

    def level(spec: ListSpec, at: str) -> ListLevel:
        whole = spec if spec.items is not None else spec.model_copy(update={"items": _WHOLE_REPLY})
        paged = compile_pages(whole, base_url, settings, at, reply)
        paged = replace(paged, rules=paged.rules.before(rules))
        return ListLevel(paged, compile_values(spec.values), spec.url, at, spec.items is None, spec.first == "poll")

    return tuple(level(one, f"{key}[{at}]" if len(specs) > 1 else key) for at, one in enumerate(specs))
