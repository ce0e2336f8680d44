"""Repeated header fields, and links in one of them."""

import time

import pytest

from tests.providers.paged_spec import PAGES, reader_of
from tests.support.spec_samples import BASE, HEAD, NOW, POLL, RESULTS, SUBMIT, job_with, operation_of, provider_of
from tidewaiter.domain.http_values import HeaderFields, WireReply
from tidewaiter.domain.outcome import Accepted, Pending
from tidewaiter.providers.examples.spec_examples import run_examples
from tidewaiter.providers.replies.extract import compile_pick
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_headers import link_target
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition
from tidewaiter.providers.spec.field_types import PickSpec

HERE = "https://api.example.com/list"


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        (["</1>; rel=self", "</2>; rel=next"], "/2"),
        (["</1>; rel=self, </2>; rel=next"], "/2"),
        (['</2>; rel="next"'], "/2"),
        (['</2>; REL="NEXT"'], "/2"),
        (['</2>; rel="prefetch next"'], "/2"),
        (['</1>; rel="nextish", </2>;rel="next"'], "/2"),
        (['</1>; title="a, b; rel=next, <x>", </2>; rel=next'], "/2"),
        ([r'</1>; title="a\", <y>; rel=next", </2>; rel=next'], "/2"),
        (["</2?a=1,2;b>; rel=next"], "/2?a=1,2;b"),
        (["< /2 >;rel = next"], "/2"),
        (["<>; rel=self, <>; rel=next"], ""),
        (["</1>; rel=prev; rel=next, </2>; rel=next"], "/2"),
        (["</1>; rel=next; anchor=\"/other\"", "</2>; rel=next"], "/2"),
        (["</2>; rel=next; anchor=\"\""], "/2"),
        ([f'</2>; rel=next; anchor="{HERE}"'], "/2"),
        (["nonsense, </2>; rel=next"], "/2"),
        (["</2>; crossorigin; rel=next"], "/2"),
        ([",,  , </2>; rel=next,"], "/2"),
        (["</2>"], None),
        (["</2>; rel=last"], None),
        (["/2; rel=next"], None),
        (["</2"], None),
        ([""], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_target_with_a_relation(fields: list[str], target: str | None) -> None:
    """RFC 8288, section 3: several links in one field or in several, quoted parameters, relations in any case."""
    assert link_target(fields, "next", HERE) == target


def test_a_long_field_is_read_in_time() -> None:
    """What a server writes there does not slow us down more than its length does."""
    began = time.perf_counter()
    for piece in ("<", "<,", '<>; a="', ";", ", ", '<>; a="\\', "<>; rel=x,", "<>;;", " "):
        link_target([piece * 30_000], "next", HERE)
    assert time.perf_counter() - began < 5.0


LINKED = PAGES.replace("size = 2\n", 'next_url = { header = "Link", rel = "next" }\n').replace(
    ', s = "${page.size}"', ""
)
BY_REGEX = LINKED.replace('rel = "next"', "regex = '^<([^>]*)>; *rel=\"?next'")


@pytest.mark.parametrize("text", [LINKED, BY_REGEX])
def test_a_list_goes_on_after_a_link_of_its_own_field(text: str) -> None:
    """Seen: `Link` with `self` in one field and `next` in another ended a list after its first page."""
    headers = HeaderFields({"Link": ["<list?n=1>; rel=self", "<list?n=2>; rel=next"]})
    reply = WireReply(200, headers, b'{"data": {"items": [1]}}', f"{BASE}/list")
    read = reader_of(text).read(job_with(None), PagePosition(), reply, NOW)
    assert read == ListedItems((1,), PagePosition(2, 1, f"{BASE}/list?n=2"))


@pytest.mark.parametrize(
    ("pick", "value"),
    [
        ({"header": "X-List"}, "a, b"),
        ({"header": "X-Same"}, "a"),
        ({"header": "Location"}, "/1"),
        ({"header": "X-List", "regex": "^b$"}, "b"),
        ({"header": "X-List", "regex": "a, b"}, "a, b"),
        ({"header": "X-Blank"}, "x"),
        ({"header": "X-None"}, None),
    ],
)
def test_a_value_out_of_a_repeated_field(pick: dict[str, str], value: object) -> None:
    """A list is one value; what has a single value has its first; a regex sees each, and all of them."""
    headers = {"X-List": ["a", "b"], "X-Same": ["a", "a"], "Location": ["/1", "/2"], "X-Blank": ["", "x"]}
    reading = Reading(WireReply(200, HeaderFields(headers)))
    assert compile_pick((PickSpec.model_validate(pick),))(reading) == value


def test_a_condition_on_a_repeated_field() -> None:
    """It holds where one of the values fits."""
    rule = 'rules = [{ header = { name = "X-State", regex = "^busy$" }, then = "pending" }, { then = "ready" }]\n'
    poll = '[operations.report.poll]\nurl = "/r/${handle}"\n' + rule
    operation = operation_of(HEAD + SUBMIT + poll + RESULTS)
    reply = WireReply(200, HeaderFields({"X-State": ["well", "busy"]}), b"{}")
    assert operation.read_poll(job_with(), reply, NOW) == Pending()


def test_an_example_with_a_repeated_field() -> None:
    """A recorded reply can have been what it was."""
    example = """
[[examples]]
name = "two links"
operation = "report"
step = "submit"
reply = { status = 200, headers = { Link = ["</1>; rel=self", "</2>; rel=job"] } }
outcome = { is = "Accepted", handle = "/2" }
"""
    submit = SUBMIT.replace('handle = "id"', 'handle = { header = "Link", rel = "job" }')
    (result,) = run_examples(provider_of(HEAD + submit + POLL + RESULTS + example))
    assert result.ok, str(result)
    operation = operation_of(HEAD + submit + POLL + RESULTS)
    assert operation.read_submit(
        job_with(None), WireReply(200, HeaderFields({"Link": ["</1>; rel=self", "</2>; rel=job"]})), NOW
    ) == Accepted("/2")
