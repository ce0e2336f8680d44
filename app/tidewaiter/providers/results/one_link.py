"""``resolve``: a list of one request and one item, the one file."""

from collections.abc import Callable, Mapping

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.providers.replies.extract import compile_pick
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_rules import Rules
from tidewaiter.providers.replies.xml_replies import xml_form
from tidewaiter.providers.requests.request_building import compile_request
from tidewaiter.providers.results.listed_files import compile_file_reader, compile_values
from tidewaiter.providers.results.nested_lists import ListLevel, NestedLists
from tidewaiter.providers.results.paged_lists import NextPage, PagedList, ReadItems
from tidewaiter.providers.spec.list_spec import PagesByParams
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.results_spec import FilesSpec, ResolveSpec, ResultsSpec

_FILE = FilesSpec(url="url", gzip="gzip")
_SEND_AUTH = "send_auth"


def compile_one_link(
    spec: ResultsSpec,
    resolve: ResolveSpec,
    base_url: str,
    settings: Mapping[str, Json],
    key: str,
    *,
    label: Callable[[Job], str],
    reply: ReplySpec | None,
) -> NestedLists:
    """The compiled form of ``resolve``.

    Args:
        spec: the results.
        resolve: their request for the link.
        base_url: the base of URLs that begin with ``/``.
        settings: the account's values.
        key: the place of the results in the spec.
        label: the name of the one file, empty if the URL names it.
        reply: how replies are read, unless the request says otherwise.
    """
    paged = PagedList(
        build=compile_request(resolve, base_url, settings),
        size=None,
        by_params=PagesByParams(),
        items=_compile_item(resolve),
        next=lambda _reading: None,
        kind=NextPage.NEVER,
        last=None,
        rules=Rules(spec.rules, f"{key}.rules"),
        xml=xml_form(resolve.reply, reply),
        is_one_link=True,
    )
    level = ListLevel(paged, compile_values({}), resolve.url, f"{key}.resolve", whole=False)
    of_the_item = spec.model_copy(update={"files": (_FILE,), "send_auth_if": _SEND_AUTH})
    return NestedLists((level,), compile_file_reader(of_the_item, base_url, settings), base_url, label)


def _compile_item(spec: ResolveSpec) -> ReadItems:
    """Reads the one item: what the picks find in the reply. Without a link there is none."""
    link, gzip, send_auth = compile_pick(spec.link), compile_pick(spec.gzip), compile_pick(spec.send_auth_if)

    def item(reading: Reading) -> tuple[Json, ...] | None:
        url = link(reading)
        if url is None:
            return None
        found: dict[str, Json] = {"url": url, "gzip": gzip(reading)}
        if spec.send_auth_if:
            # Any value counts as true, except a literal false.
            decided = send_auth(reading)
            found[_SEND_AUTH] = decided is not None and decided is not False
        return (found,)

    return item
