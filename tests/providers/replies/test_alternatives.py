"""Choices that a spec leaves to a job or account: first existing value, literal names, unlisted values."""

from typing import Any

import pytest

from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.outcome import Empty, Inline
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.checks.spec_lint import read_spec
from tidewaiter.providers.errors import ParameterError
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec.value_spec import Problems

_SPEC = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com"

[account]
names = { help = "x", enum = ["own", "as_written"], default = "own", example = "own" }
mail = { help = "x", required = false }

[operations.thing]
title = "A thing"
repeatable = true
callback = { first_delay_s = 900 }

[operations.thing.params]
path = { help = "x", default = "a" }
method = { help = "x", enum = ["GET", "HEAD", "DELETE"], default = "GET" }
notify = { help = "x", required = false }
shape = { help = "x", enum = ["round"], more = true, required = false }
word = { help = "x", required = false, excludes = '(?i)none' }

[operations.thing.params.also]
type = "object"
help = "x"
required = false
also = ["other"]
as_written = { names = "as_written" }

[operations.thing.params.also.fields]
a = { help = "x", required = false, also = ["b"], as_written = { names = "as_written" } }

[[operations.thing.submit]]
when = { params.method = "GET" }
method = "GET"
url = "/${params.path:path}"
query = { notify = "${params.notify|account.mail|callback_url}" }
rules = [{ status = 204, then = "empty" }, { then = "ready" }]

[[operations.thing.submit]]
when = { params.method = "HEAD" }
method = "HEAD"
url = "/${params.path:path}"
rules = [{ then = "ready" }]

[[operations.thing.submit]]
when = { params.method = "DELETE" }
method = "DELETE"
repeatable = false
url = "/${params.path:path}"
rules = [{ then = "ready" }]

[[operations.thing.results]]
when = { params.method = "HEAD" }
inline = "head"

[[operations.thing.results]]
inline = true
"""


def _operation(**settings: Any) -> BoundOperation:
    return Provider.read(_SPEC, "demo.toml").bind("own", settings).operations["thing"]


def _job(operation: BoundOperation, **params: Any) -> Job:
    return Job(1, 0, "own", "thing", operation.check_params(params), State.QUEUED, 0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "params", "notify", "calls_back"),
    [
        ({}, {}, "https%3A%2F%2Fus.example.com", True),
        ({"mail": "m@x.org"}, {}, "m%40x.org", False),
        ({"mail": "m@x.org"}, {"notify": "mine"}, "mine", False),
        ({}, {"notify": "mine"}, "mine", False),
    ],
)
def test_the_first_value_that_there_is(
    settings: dict[str, str], params: dict[str, str], notify: str, *, calls_back: bool
) -> None:
    """A job's address stands in place of the account's, and both of ours: then nobody calls us."""
    operation = _operation(**settings)
    job = _job(operation, **params)
    assert operation.submit(job, "https://us.example.com").url == f"https://api.example.com/a?notify={notify}"
    assert operation.calls_back(job) is calls_back


def test_what_stands_alone_may_be_missing_everywhere() -> None:
    """A reference that is not known is found behind a bar, too."""
    text = _SPEC.replace("${params.notify|account.mail|callback_url}", "${params.notify|account.male}")
    _, faults = read_spec("demo.toml", text)
    assert any("there is no such setting" in fault.reason for fault in faults)


def test_a_variant_may_be_repeatable_or_not() -> None:
    """The policy of a job is that of its variant."""
    operation = _operation()
    repeatable = [
        operation.policy_of(_job(operation, method=method)).repeatable for method in ("GET", "HEAD", "DELETE")
    ]
    assert repeatable == [True, True, False]


def test_the_head_of_a_reply() -> None:
    """Status, reason phrase and header fields, whatever the body is; of an ordinary reply nothing is in its place."""
    operation = _operation()
    reply = WireReply(200, {"x-total": "7", "content-encoding": "gzip"}, phrase="OK")
    read = operation.read_submit(_job(operation, method="HEAD"), reply, 0.0)
    assert isinstance(read, Inline)
    assert read.media_type == "application/json"
    assert b'"x-total": "7"' in (read.content or b"")
    plain = operation.read_submit(_job(operation), reply, 0.0)
    assert isinstance(plain, Inline)
    assert plain.content is None


def test_a_submit_that_is_done_without_a_file() -> None:
    """A rule may say so."""
    operation = _operation()
    assert operation.read_submit(_job(operation), WireReply(204), 0.0) == Empty()


def test_names_as_they_were_written() -> None:
    """One name for all, or each its own, on every level."""
    given = {"other": {"b": "1"}}
    assert _operation().check_params(given)["also"] == {"a": "1"}
    written = _operation(names="as_written").check_params(given)
    assert written["other"] == {"b": "1"}
    assert "also" not in written
    with pytest.raises(ParameterError, match="given twice"):
        _operation().check_params({"also": {}, "other": {}})


def test_values_that_are_not_listed() -> None:
    """They are sent as they were given, and told; those that are listed are found in any case."""
    operation = _operation()
    params = operation.check_params({"shape": "Square"})
    expected: Problems = [("shape", "'Square' is not among the known values (round); it is sent as it is")]
    assert (params["shape"], operation.unlisted(params)) == ("Square", expected)
    listed = operation.check_params({"shape": "ROUND"})
    assert (listed["shape"], operation.unlisted(listed)) == ("round", [])


@pytest.mark.parametrize("path", ["..", "a/../b", "a//b", "/", "a/", "./a"])
def test_a_path_that_leads_elsewhere(path: str) -> None:
    """Every segment is looked at before a job is stored."""
    with pytest.raises(ParameterError, match="cannot be a part of a URL"):
        _operation().check_params({"path": path})
    assert _operation().check_params({"path": "/a/b"})["path"] == "/a/b"


def test_what_is_excluded() -> None:
    """A text that matches as a whole is refused."""
    with pytest.raises(ParameterError, match=r"it matches \(\?i\)none"):
        _operation().check_params({"word": "None"})
    assert _operation().check_params({"word": "nonesuch"})["word"] == "nonesuch"


@pytest.mark.parametrize(
    ("was", "becomes", "reason"),
    [
        ("more = true, required = false", 'more = true, required = false, pattern = "x"', None),
        ('enum = ["round"], more', "more", "there is no enum"),
        ('also = ["other"]\n', "", "as_written is for a parameter with also"),
        ('also = ["b"], as_written = { names', 'also = ["b"], as_written = { name', "nothing of that name"),
        ("inline = true", "inline = false", "must be"),
    ],
)
def test_each_fault(was: str, becomes: str, reason: str | None) -> None:
    """What cannot be meant is told with its key."""
    assert was in _SPEC
    _, faults = read_spec("demo.toml", _SPEC.replace(was, becomes))
    assert (reason is None) == (not faults)
    assert reason is None or any(reason in fault.reason for fault in faults)
