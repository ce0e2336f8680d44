"""The messages about results, addresses and examples that do not fit together."""

import pytest

from tests.support.spec_samples import HEAD, POLL, POLL_URL, SUBMIT, WHOLE, changed, with_settings
from tidewaiter.providers.checks.spec_lint import read_spec

INLINE = "[operations.report.results]\ninline = true\n"
LISTED = '[operations.report.results]\nlabel = "x"\nfiles = { each = "files" }\n'
PAGED = '[operations.report.results]\nheaders = { Accept = "x" }\npages = { url = "/p", items = "items" }\n'
RENEW = """
[[examples]]
name = "spent"
step = "renew"
request = { url = "https://api.example.com/v1/x" }
reply = { status = 401 }
outcome = { is = "Spent" }
"""
START = """
[[operations.report.start]]
name = "enqueue"
url = "/x/${handle}"
"""
EXAMPLE = """
[[examples]]
name = "e"
operation = "report"
request = { url = "https://api.example.com/v1/x/1" }
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            HEAD + SUBMIT + POLL + INLINE + 'headers = { Range = "bytes=0-9", accept-encoding = "br" }\n',
            "operations.report.results: headers may not have Range, accept-encoding, which a download sets itself: "
            "remove it",
            id="headers of the download",
        ),
        pytest.param(
            HEAD + SUBMIT + POLL + PAGED,
            "operations.report.results: headers are for files; "
            "a request for pages has headers of its own, in pages.headers",
            id="headers of pages",
        ),
        pytest.param(
            HEAD + SUBMIT + POLL + INLINE + 'headers = { Accept = "${params.none}" }\n',
            "operations.report.results.headers.Accept: refers to ${params.none}, but there is no such parameter "
            "(there are: none)",
            id="headers that refer to nothing",
        ),
        pytest.param(
            HEAD + SUBMIT + POLL + LISTED,
            "operations.report.results: label names one file; a list of files has its own",
            id="label of a list",
        ),
        pytest.param(
            with_settings('other = { type = "url", help = "x", default = "https://api.example.com/?a=1" }\n'),
            "account.other: the default must be an address without user name, query and fragment",
            id="address with a query",
        ),
        pytest.param(
            WHOLE + RENEW, "examples[0]: renew reads a reply to any request, and sends none", id="renew that sends"
        ),
        pytest.param(
            WHOLE + START + EXAMPLE + 'step = "start"\nstage = "begin"\n',
            "examples[0].stage: operation 'report' has no start of the name 'begin' (there are: enqueue)",
            id="stage of another name",
        ),
        pytest.param(
            WHOLE + EXAMPLE + 'step = "before"\nstage = "begin"\n',
            "examples[0].stage: operation 'report' has no before of the name 'begin' (there are: none)",
            id="stage of an operation without stages",
        ),
        pytest.param(
            WHOLE + START + EXAMPLE + 'step = "start"\n',
            "examples[0]: needs stage, the name of the request of start that it shows",
            id="example of a start without its name",
        ),
        pytest.param(
            WHOLE + START + EXAMPLE + 'step = "poll"\nstage = "enqueue"\n',
            "examples[0]: has a stage, which only the steps before and start have; its step is poll",
            id="example of a poll with a stage",
        ),
    ],
)
def test_each_message(text: str, fault: str) -> None:
    """One mistake, one line: file, key as it stands in the file, reason."""
    _, faults = read_spec("demo.toml", text)
    assert [str(one) for one in faults] == [f"demo.toml: {fault}"]


def test_inline_results_may_be_polled_by_post() -> None:
    """A long reply is streamed as it comes, so nothing has to be asked for a second time."""
    posted = changed(POLL_URL, f'{POLL_URL}method = "POST"\n', POLL)
    _, faults = read_spec("demo.toml", HEAD + SUBMIT + posted + INLINE)
    assert faults == []
