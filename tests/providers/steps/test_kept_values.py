"""Values that a step keeps of its reply: what may be kept, where they may be used, and what they choose."""

import pytest

from tests.support.spec_samples import HEAD, NOW, faults_of, job_with, operation_of, reply_of, with_settings
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Accepted, Duplicate, Pending, Ready, Refused, Retry, Unknown, Unmapped
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.results.paged_lists import PagePosition
from tidewaiter.providers.steps.remote_job_search import Matches

KEPT = (
    HEAD
    + """
[operations.report]
title = "Report"

[operations.report.params]
day = { help = "the day", default = "monday" }

[operations.report.submit]
url = "/reports"
handle = "id"
rules = [{ status = 409, then = "duplicate" }]

[operations.report.submit.keep]
folder = "folder"
owner = { header = "X-Owner", optional = true }

[operations.report.poll]
url = "/folders/${kept.folder}/reports/${handle}"
query = { owner = "${kept.owner}" }
rules = [{ word = "status", words = { pending = "pending", done = "ready" } }]
keep = { file = "fileId" }

[operations.report.results]
url = "/files/${kept.file}"
"""
)
HAS = {"folder": "a b"}
OWN = "https://api.example.com"


def keeping(**kept: str) -> Job:
    """A job with a remote job and these values."""
    return job_with("42").but(kept=dict(kept))


def test_values_of_the_submit_are_in_the_requests_after_it() -> None:
    """In a URL they are encoded, and a key without a value is left out."""
    operation = operation_of(KEPT)
    taken = operation.read_submit(job_with(None), reply_of(200, {"id": 1, "folder": "a b"}), NOW)
    assert taken == Accepted("1", kept={"folder": "a b"})
    owned = operation.read_submit(job_with(None), reply_of(200, {"id": 1, "folder": 7}, x_owner="me"), NOW)
    assert owned == Accepted("1", kept={"folder": "7", "owner": "me"})
    assert operation.poll(keeping(folder="a b")).url.endswith("/v1/folders/a%20b/reports/42")
    assert operation.poll(keeping(folder="f", owner="m&e")).url.endswith("/reports/42?owner=m%26e")


def test_a_value_of_the_reply_that_says_ready_names_the_file() -> None:
    """A poll before it may lack the value, and one that had it before need not repeat it."""
    operation = operation_of(KEPT)
    assert operation.read_poll(keeping(**HAS), reply_of(200, {"status": "pending"}), NOW) == Pending("pending")
    early = operation.read_poll(keeping(**HAS), reply_of(200, {"status": "pending", "fileId": "f"}), NOW)
    assert isinstance(early, Pending)
    assert early.kept == {"file": "f"}
    ready = operation.read_poll(keeping(**HAS), reply_of(200, {"status": "done", "fileId": "f/1"}), NOW)
    assert ready == Ready(status="done", kept={"file": "f/1"})
    assert operation.read_poll(keeping(file="f"), reply_of(200, {"status": "done"}), NOW) == Ready(status="done")
    (link,) = operation.links(keeping(file="f/1"))
    assert link.url == "https://api.example.com/v1/files/f%2F1"
    with pytest.raises(UnsendableError, match="needs a value that the job does not have"):
        operation.links(keeping())


def test_a_reply_that_lacks_a_value_is_no_success() -> None:
    """After a submit a remote job may exist; a poll is repeated, and its reason names the value."""
    operation = operation_of(KEPT)
    lost = operation.read_submit(job_with(None), reply_of(200, {"id": 1}), NOW)
    assert isinstance(lost, Unknown)
    assert lost.reason.startswith("the reply has no value for keep.folder: HTTP 200")
    duplicate = operation.read_submit(job_with(None), reply_of(409, {"id": 1}), NOW)
    assert isinstance(duplicate, Unknown)
    named = operation.read_submit(job_with(None), reply_of(409, {"id": 1, "folder": "f"}), NOW)
    assert named == Duplicate("1", {"folder": "f"})
    unready = operation.read_poll(keeping(**HAS), reply_of(200, {"status": "done"}), NOW)
    assert isinstance(unready, Unmapped)
    assert "keep.file" in unready.excerpt


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ([1], "is neither a text nor a number: name a single value in it"),
        ({"a": 1}, "is neither a text nor a number"),
        ("x" * 2049, "has 2049 characters, and 2048 are permitted"),
        ("a\nb", "has control characters"),
        ("a\0b", "has control characters"),
        ("\ud800", "has control characters"),
    ],
    ids=["array", "object", "long", "line break", "nul", "surrogate"],
)
def test_what_cannot_be_kept_is_named_and_not_shown(value: object, part: str) -> None:
    """A submit becomes unknown; a poll is repeated and logged, because the remote job runs on."""
    operation = operation_of(KEPT)
    submitted = operation.read_submit(job_with(None), reply_of(200, {"id": 1, "folder": value}), NOW)
    assert isinstance(submitted, Unknown)
    assert f"the value for keep.folder {part}" in submitted.reason
    polled = operation.read_poll(keeping(**HAS), reply_of(200, {"status": "pending", "fileId": value}), NOW)
    assert isinstance(polled, Unmapped)
    assert f"the value for keep.file {part}" in polled.excerpt
    assert len(polled.excerpt) < 500


@pytest.mark.fault(67)
def test_all_values_together_are_bounded() -> None:
    """Also with those of earlier replies."""
    names = [f"n{number}" for number in range(5)]
    keep = "".join(f"{name} = '{name}'\n" for name in names)
    spec = KEPT.replace('folder = "folder"\n', f'folder = "folder"\n{keep}')
    operation = operation_of(spec)
    reply = reply_of(200, {"id": 1, "folder": "f", **dict.fromkeys(names, "x" * 2000)})
    found = operation.read_submit(job_with(None), reply, NOW)
    assert isinstance(found, Unknown)
    assert "bytes, and 8192 are permitted" in found.reason


def test_a_credential_that_is_echoed_is_not_kept() -> None:
    """Neither as the value nor inside it; an address loses it."""
    secret = 'token = { help = "the token", secret = true }\n'
    secret += '[auth]\ntype = "query"\nname = "key"\nvalue = "${account.token}"\n'
    operation = operation_of(KEPT.replace(HEAD, HEAD + secret), {"token": "canary-token"})
    for value in ("canary-token", "x-canary-token-y"):
        echoed = operation.read_submit(job_with(None), reply_of(200, {"id": 1, "folder": value}), NOW)
        assert isinstance(echoed, Unknown)
        assert "the value for keep.folder contains a credential of the account" in echoed.reason
        assert "canary" not in echoed.reason
    address = reply_of(200, {"id": 1, "folder": "https://api.example.com/v1/x?key=canary-token&a=1"})
    kept = operation.read_submit(job_with(None), address, NOW)
    assert isinstance(kept, Accepted)
    assert kept.kept == {"folder": "https://api.example.com/v1/x?a=1"}


def test_a_handle_is_made_from_a_template() -> None:
    """For APIs whose submit names no remote job; without a value it is unknown what was made."""
    spec = KEPT.replace('handle = "id"', 'handle_from = "${kept.folder}-${params.day}"')
    operation = operation_of(spec)
    job = job_with(None, {"day": "monday"})
    assert operation.read_submit(job, reply_of(202, {"folder": "f"}), NOW) == Accepted("f-monday", kept={"folder": "f"})
    unnamed = operation.read_submit(job_with(None), reply_of(202, {"folder": "f"}), NOW)
    assert isinstance(unnamed, Unknown)
    assert unnamed.reason.startswith("handle_from makes no handle of the values of this job: HTTP 202")


def test_kept_values_and_the_handle_choose_variants() -> None:
    """The first variant whose conditions hold is used."""
    spec = KEPT.replace("[operations.report.results]\n", "[[operations.report.results]]\n")
    spec = spec.replace(
        '[[operations.report.results]]\nurl = "/files/${kept.file}"',
        """[[operations.report.results]]
when = { handle = "^b-", kept = { folder = "zip" } }
url = "/packed/${handle}"

[[operations.report.results]]
when = { kept = { folder = "7" } }
url = "/seventh"

[[operations.report.results]]
url = "/files/${kept.file}"
""",
    )
    operation = operation_of(spec)

    def place(handle: str, **kept: str) -> str:
        job = job_with(handle).but(kept=dict(kept))
        return operation.links(job)[0].url.removeprefix("https://api.example.com/v1")

    assert place("b-1", folder="zip") == "/packed/b-1"
    assert place("a-1", folder="zip", file="f") == "/files/f"
    assert place("a-1", folder="7") == "/seventh"
    assert place("b-1", file="f") == "/files/f"


def test_an_adopted_remote_job_brings_the_values_of_its_item() -> None:
    """The reply to the submit is lost, so the list must have them."""
    adopt = """
[operations.report.adopt]
url = "/reports"
items = "list"
match = { day = "${params.day}" }
handle = "id"
keep = { folder = "in" }
"""
    search = operation_of(KEPT + adopt).adoption(job_with(None))
    assert search is not None
    job = job_with(None, {"day": "monday"})
    found = search.read(job, PagePosition(), reply_of(200, {"list": [{"id": 1, "day": "monday", "in": "f"}]}), NOW)
    assert isinstance(found, Matches)
    assert found.named() == {"1": {"folder": "f"}}
    lacking = search.read(job, PagePosition(), reply_of(200, {"list": [{"id": 1, "day": "monday"}]}), NOW)
    assert isinstance(lacking, Refused)
    assert lacking.reason.endswith("the reply has no value for keep.folder")
    assert faults_of(KEPT + adopt.replace('keep = { folder = "in" }\n', "")) == [
        "demo.toml: operations.report.adopt.keep: must have folder, which submit keeps: an adopted remote job has no "
        "reply to a submit"
    ]


def test_a_kept_value_may_be_the_whole_address() -> None:
    """It is made absolute with the address of its reply, and stays byte for byte what it is."""
    spec = (
        KEPT.replace('url = "/files/${kept.file}"', 'url = "${kept.file}"')
        .replace(
            "[operations.report.results]",
            '[operations.report.cancel]\nurl = "${kept.folder}/cancel"\n\n[operations.report.results]',
        )
        .replace("/folders/${kept.folder}/", "/")
    )
    operation = operation_of(spec)
    made = operation.read_submit(job_with(None), reply_of(200, {"id": 1, "folder": "../jobs/7"}, f"{OWN}/v1/x/y"), NOW)
    assert made == Accepted("1", kept={"folder": f"{OWN}/v1/jobs/7"})
    job = keeping(folder=f"{OWN}/v1/jobs/7", file="https://files.example.net/a%2Fb?sig=c%2Bd")
    cancel = operation.cancel(job)
    assert cancel is not None
    assert cancel.url == f"{OWN}/v1/jobs/7/cancel"
    assert operation.links(job)[0].url == "https://files.example.net/a%2Fb?sig=c%2Bd"
    unusable = operation.read_submit(job_with(None), reply_of(200, {"id": 1, "folder": "ftp://x/"}), NOW)
    assert isinstance(unusable, Unknown)
    assert "the value for keep.folder is no URL that can be requested" in unusable.reason
    with pytest.raises(UnsendableError, match=r"the value of \$\{kept.folder\} is missing"):
        operation.cancel(keeping())


def test_a_poll_that_is_no_json_is_repeated() -> None:
    """A page of a proxy is not the reply that says ready."""
    spec = KEPT.replace('rules = [{ word = "status", words = { pending = "pending", done = "ready" } }]', "") + (
        '[[operations.report.poll.rules]]\nthen = "ready"\n'
    )
    broken = operation_of(spec).read_poll(keeping(**HAS), reply_of(200, b"<html>"), NOW)
    assert isinstance(broken, Retry)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            'url = "/reports"\n',
            'url = "/reports/${kept.folder}"\n',
            "submit.url: refers to ${kept.folder}, which only submit keeps, and that comes later",
        ),
        (
            'owner = "${kept.owner}"',
            'owner = "${kept.onwer}"',
            "poll.query.owner: refers to ${kept.onwer}, but no step before this one keeps it (they keep: file, folder, "
            "owner)",
        ),
        (
            '"/files/${kept.file}"',
            '"/files/${kept.owner}"',
            "results.url: refers to ${kept.owner}, which may be missing; here it must not be",
        ),
        (
            "/folders/${kept.folder}/",
            "/folders/${kept.file}/",
            "poll.url: refers to ${kept.file}, which may be missing; here it must not be",
        ),
        ('keep = { file = "fileId" }', 'keep = { file = "a[" }', "poll.keep.file: not JMESPath"),
        ('keep = { file = "fileId" }', 'keep = { File = "a" }', "poll.keep.File: "),
        ('keep = { file = "fileId" }', "keep = { file = { optional = true } }", "poll.keep.file: needs exactly one of"),
        (
            'keep = { file = "fileId" }',
            "keep = { " + ", ".join(f'n{n} = "a"' for n in range(17)) + " }",
            "poll.keep: has 17 values, and a job keeps at most 16",
        ),
        (
            'handle = "id"\n',
            'handle = "id"\nhandle_from = "${params.day}"\n',
            "submit: a submit has either handle or handle_from: remove one of them",
        ),
        (
            'handle = "id"\n',
            'handle_from = "${kept.owner}"\n',
            "submit.handle_from: refers to ${kept.owner}, which may be missing; here it must not be",
        ),
        (
            "[operations.report.results]\n",
            "[operations.report.results]\nwhen = { kept = { fil = 'x' } }\n",
            "results.when.kept.fil: no step before this one keeps it (they keep: file, folder, owner)",
        ),
        (
            "[operations.report.results]\n",
            "[operations.report.results]\nwhen = { kept = { file = ['x'] } }\n",
            "results.when.kept.file: must be a text, a whole number or a boolean, which the value must equal",
        ),
        (
            "[operations.report.results]\n",
            "[operations.report.results]\nwhen = { kept = 'x' }\n",
            "results.when.kept: must be a table: the names of kept values, and what they must be",
        ),
        (
            "[operations.report.results]\n",
            "[operations.report.results]\nwhen = { handle = '(' }\n",
            "results.when.handle: ",
        ),
        (
            "[operations.report.submit]\n",
            "[operations.report.submit]\nwhen = { handle = 'x' }\n",
            "submit.when.handle: no submit before this step has named a handle",
        ),
        (
            "[operations.report.results]\n",
            "[operations.report.results]\nwhen = { kept = { folder = 'x' } }\n",
            "results: there is none for the case that no condition on kept or handle holds: add one without them",
        ),
    ],
)
def test_each_fault_names_file_key_and_cause(old: str, new: str, fault: str) -> None:
    """One mistake, one sentence."""
    assert old in KEPT
    found = faults_of(KEPT.replace(old, new, 1))
    assert any(one.startswith(f"demo.toml: operations.report.{fault}") for one in found), found


def test_a_setting_may_not_have_a_name_with_a_meaning_in_when() -> None:
    """Only those that could stand there: a text of any value keeps its name."""
    assert faults_of(with_settings('handle = { help = "x", required = false }\n')) == []
    assert faults_of(with_settings('kept = { help = "x", type = "boolean", default = true }\n')) == [
        "demo.toml: account.kept: is no possible name of a setting that decides, because it has a meaning in when"
    ]
