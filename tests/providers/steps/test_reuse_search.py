"""The search for a remote job of the same question: what matches, what is too old, and what is refused in a spec."""

import pytest

from tests.support.spec_samples import NOW, WHOLE, changed, faults_of, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Refused, Retry, Throttled
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.results.paged_lists import PagePosition
from tidewaiter.providers.steps.remote_job_search import Matches

URL = "https://api.example.com/v1/reports"
PARAMS = """
[operations.report.params]
kind = { help = "the kind" }
since = { help = "from when on", required = false }
ids = { type = "array", help = "the ids", items = {}, required = false }
newest = { type = "boolean", help = "no older one", default = false }
"""
REUSE = """
[operations.report.reuse]
url = "/reports"
query = { made_after = "${page.since}", cursor = "${page.next}" }
items = "reports"
next = "next"
match = { kind = "${params.kind}", from = "${params.since}", ids = "${params.ids}" }
where = "status != 'failed'"
handle = "id"
created = "made"
within_s = 3600.0
newer = "newest"
"""
SENT = 'url = "/reports"\njson = { kind = "${params.kind}", since = "${params.since}", ids = "${params.ids}" }\nhandle'
TEXT = changed('url = "/reports"\nhandle', SENT) + PARAMS + REUSE
FRESH = "2023-11-14T22:00:00Z"
"""Less than an hour before ``NOW``."""


def item(**changes: Json) -> dict[str, Json]:
    """An item of the list that matches a job with the kind ``a``."""
    return {"id": "r1", "kind": "a", "made": FRESH, "status": "done", **changes}


def job(**params: Json) -> Job:
    """A job that has not been submitted."""
    return job_with(None, {"kind": "a", "newest": False, **params}, None)


def found(*items: Json, operation: BoundOperation | None = None, **params: Json) -> tuple[str, ...]:
    """The handles that a page of the list offers to a job."""
    one = job(**params)
    search = (operation or operation_of(TEXT)).reuse(one, NOW)
    assert search is not None
    read = search.read(one, PagePosition(), reply_of(200, {"reports": list(items)}, URL), NOW)
    assert isinstance(read, Matches), read
    return read.handles


def test_the_request_says_since_when() -> None:
    """For lists that can be limited to the newest items."""
    search = operation_of(TEXT).reuse(job(), NOW)
    assert search is not None
    assert search.request(job(), PagePosition()).url == f"{URL}?made_after=2023-11-14T21%3A13%3A20Z"
    assert search.reader.bounds.most_pages == 10


def test_the_newest_comes_first() -> None:
    """Whatever the order of the list."""
    made = ["2023-11-14T21:30:00Z", "2023-11-14T22:10:00Z", "2023-11-14T22:00:00Z"]
    assert found(*(item(id=f"r{number}", made=at) for number, at in enumerate(made))) == ("r1", "r2", "r0")


@pytest.mark.parametrize(
    ("made", "is_reused"),
    [
        (FRESH, True),
        ("2023-11-14T23:00:00+01:00", True),
        (NOW - 3600, True),
        (int(NOW * 1000) - 1000, True),
        (NOW - 3601, False),
        (NOW + 200, True),  # a clock that is a little ahead
        (NOW + 400, False),
        ("2999-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00+23:59", False),
        ("9999-12-31T23:59:59-23:59", False),
        (10**30, False),
        (-1, False),
        ("yesterday", False),
        ("", False),
        (None, False),
        (True, False),
        ([FRESH], False),
        ({"at": FRESH}, False),
    ],
    ids=str,
)
def test_the_age_decides(made: Json, is_reused: bool) -> None:
    """An item whose age is not known, or who comes from the future, is not reused."""
    assert found(item(made=made)) == (("r1",) if is_reused else ())


@pytest.mark.parametrize(
    ("params", "more", "is_reused"),
    [
        ({}, {"kind": "b"}, False),
        ({}, {"kind": " a "}, True),
        ({}, {"status": "failed"}, False),
        ({}, {"from": FRESH}, False),  # the job asks for everything
        ({"since": FRESH}, {}, False),
        ({"since": FRESH}, {"from": "2023-11-14T22:00:00+00:00"}, True),
        ({"since": FRESH}, {"from": "2023-11-14T22:00:01+00:00"}, False),
        ({"since": FRESH}, {"from": 1_700_000_000}, False),
        ({"ids": ["1", "2"]}, {"ids": ["1", "2"]}, True),
        ({"ids": ["1", "2"]}, {"ids": ["2", "1"]}, False),
        ({"ids": ["1", "2"]}, {"ids": "1,2"}, False),
        ({"ids": ["1"]}, {}, False),
        ({}, {"ids": None}, True),
        ({}, {"ids": []}, False),
    ],
    ids=str,
)
def test_the_question_must_be_the_same(params: dict[str, Json], more: dict[str, Json], is_reused: bool) -> None:
    """All of ``match``: what the job does not ask for must not be in the item either."""
    assert found(item(**more), operation=None, **params) == (("r1",) if is_reused else ())


@pytest.mark.parametrize("handle", [None, "", "..", True, ["r1"], {"id": 1}, "a\nb", "x" * 10_000], ids=repr)
def test_a_handle_that_cannot_be_used(handle: Json) -> None:
    """Is passed over: nothing is lost but a submit that was saved."""
    assert found(item(id=handle), item(id="r2", made=NOW - 3000)) == ("r2",)


@pytest.mark.parametrize("listed", [None, "text", 7, True, [], [None], {}], ids=repr)
def test_items_that_are_no_objects(listed: Json) -> None:
    """A list that lies raises nothing."""
    assert found(listed) == ()


def test_when_there_is_no_search() -> None:
    """For a job that needs a new one, that has been submitted, or that has reused one which was of no use."""
    operation = operation_of(TEXT)
    assert operation.reuse(job(newest=True), NOW) is None
    careful = operation_of(
        changed('help = "no older one", default = false', 'help = "no older one", default = true', TEXT)
    )
    assert careful.reuse(job_with(None, {"kind": "a"}, None), NOW) is None  # made before the parameter was in the spec
    assert operation.reuse(job().but(submits=1), NOW) is None
    assert operation.reuse(job().but(polls=1), NOW) is None
    assert operation_of().reuse(job_with(None), NOW) is None


def test_a_parameter_that_the_list_does_not_show() -> None:
    """A job that has a value for it gets a remote job of its own."""
    text = changed(', ids = "${params.ids}" }\nwhere', ' }\nonly_without = ["ids"]\nwhere', TEXT)
    assert faults_of(text) == []
    operation = operation_of(text)
    assert operation.reuse(job(ids=["1"]), NOW) is None
    assert found(item(), operation=operation) == ("r1",)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Refused), (403, Refused), (404, Refused), (429, Throttled), (500, Retry), (503, Throttled)],
)
def test_refusals_are_no_matter_for_the_account(status: int, kind: type[object]) -> None:
    """A list that may not be read does not pause the account: perhaps only the submit is permitted."""
    search = operation_of(TEXT).reuse(job(), NOW)
    assert search is not None
    assert isinstance(search.read(job(), PagePosition(), reply_of(status, b"", URL), NOW), kind)


def test_a_handle_that_is_an_address() -> None:
    """It is made absolute, without the account's credentials."""
    text = TEXT.replace('poll]\nurl = "/reports/${handle}"', 'poll]\nurl = "${handle}"')
    assert found(item(id="/v1/reports/r1"), operation=operation_of(text)) == ("https://api.example.com/v1/reports/r1",)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            ', ids = "${params.ids}" }\nwhere',
            " }\nwhere",
            "operations.report.reuse.match: does not compare ${params.ids}, which the submit sends, so a job could get "
            "the result of another question: add it to match, or its name to ignores if it does not change the result, "
            "or to only_without if the list does not show it",
        ),
        (
            'newer = "newest"',
            'newer = "newest"\nignores = ["newest"]',
            "operations.report.reuse.ignores: names newest, which the submit does not send: remove it",
        ),
        (
            'newer = "newest"',
            'newer = "newest"\nignores = ["ids"]\nonly_without = ["ids", "id"]',
            "operations.report.reuse.ignores: names ids, which only_without names, too: keep one of them",
        ),
        (
            'newer = "newest"',
            'newer = "newest"\nonly_without = ["id"]',
            "operations.report.reuse.only_without: names id, which the submit does not send: remove it",
        ),
        (
            'newer = "newest"',
            'newer = "kind"',
            "operations.report: reuse.newer names kind, which is no boolean parameter",
        ),
        ("within_s = 3600.0", "within_s = 0.0", "operations.report.reuse.within_s: input should be greater than 0"),
        ("within_s = 3600.0", "within_s = 1e12", "operations.report.reuse.within_s: input should be less than or"),
        ("within_s = 3600.0", 'within_s = "1h"', "operations.report.reuse.within_s: must be a number"),
        ("within_s = 3600.0\n", "", "operations.report.reuse.within_s: is missing"),
        ('created = "made"\n', "", "operations.report.reuse.created: is missing"),
        ('created = "made"', 'created = "made["', "operations.report.reuse.created: not JMESPath: "),
        ("newer", "lag_s = 5.0\nnewer", "operations.report.reuse.lag_s: unknown key (there are: "),
        (
            'handle = "id"\ncreated',
            'handle = "id"\nrules = [{ status = 409, then = "again" }]\ncreated',
            "operations.report.reuse: a search submits nothing, so its rules cannot say again: use retry or pending",
        ),
        (
            'made_after = "${page.since}"',
            'made_after = "${handle}"',
            "operations.report.reuse.query.made_after: refers to ${handle}, but here there is none, because no submit "
            "has named one",
        ),
    ],
    ids=[
        "unseen",
        "ignores",
        "both",
        "only_without",
        "newer",
        "zero",
        "endless",
        "text",
        "no age",
        "no time",
        "jmespath",
        "key",
        "again",
        "handle",
    ],
)
def test_what_is_refused(old: str, new: str, fault: str) -> None:
    """Each fault names the file and the key, and says how to correct it."""
    faults = faults_of(changed(old, new, TEXT))
    assert any(one.startswith(f"demo.toml: {fault}") for one in faults), faults


KEEPS = """
[[operations.report.before]]
name = "upload"
url = "/files"
json = { note = "${params.note}" }
keep = { file = "id" }

[[operations.report.start]]
name = "run"
url = "/reports/${handle}/run"
keep = { token = "token" }
"""


def test_what_requests_need_is_kept_of_the_item() -> None:
    """Only what requests about the remote job refer to; the file of the upload is for the submit."""
    used = changed('/file"', '/file?token=${kept.token}"', TEXT) + KEEPS
    asked = used.replace("[operations.report.params]", '[operations.report.params]\nnote = { help = "a note" }')
    faults = faults_of(asked)
    assert [fault.partition(": ")[2] for fault in faults] == [
        "operations.report.reuse.keep: must have token, which requests about the remote job refer to: a job that "
        "reuses one has sent none of the requests that keep it",
        "operations.report.reuse.match: does not compare ${params.note}, which the submit sends, so a job could get "
        "the result of another question: add it to match, or its name to ignores if it does not change the result, "
        "or to only_without if the list does not show it",
    ]
    whole = asked.replace('newer = "newest"', 'newer = "newest"\nignores = ["note"]\nkeep = { token = "secret" }')
    assert faults_of(whole) == []
    one = job(note="n")
    search = operation_of(whole).reuse(one, NOW)
    assert search is not None
    listed = {"reports": [item(), item(id="r2", secret="s")]}
    read = search.read(one, PagePosition(), reply_of(200, listed, URL), NOW)
    assert isinstance(read, Matches)
    assert (read.handles, read.kept) == (("r2",), ({"token": "s"},))  # of the other, a request could not be built


def test_a_search_refers_to_nothing_that_is_kept() -> None:
    """It comes before every other request."""
    text = changed('made_after = "${page.since}"', 'file = "${kept.file}"', TEXT) + KEEPS
    (fault,) = [one for one in faults_of(text) if "query.file" in one]
    assert "refers to ${kept.file}, which only before keeps, and that comes later" in fault


def test_since_is_for_reuse_only() -> None:
    """Another list has no such time."""
    adopt = '\n[operations.report.adopt]\nurl = "/reports"\nquery = { since = "${page.since}" }\nitems = "reports"\n'
    faults = faults_of(WHOLE + adopt + 'where = "open"\nhandle = "id"\n')
    assert faults == ["demo.toml: operations.report.adopt.query.since: refers to ${page.since}, which only reuse has"]


def test_without_a_remote_job_there_is_nothing_to_reuse() -> None:
    """The message names what is missing."""
    head = WHOLE.partition("[operations.report.submit]")[0]
    text = head + '[operations.report.results]\nurl = "/all"\n' + PARAMS + REUSE
    assert faults_of(text) == [
        "demo.toml: operations.report: without submit there is no remote job to adopt, reuse, poll, cancel or clean up"
    ]
