"""What lint says about results, addresses and examples that do not fit together."""

import pytest

from app.providers.lint import read_spec
from tests.providers.samples import HEAD, POLL, POLL_URL, SUBMIT, WHOLE, changed, with_settings

INLINE = "[operations.report.results]\ninline = true\n"
LISTED = '[operations.report.results]\nlabel = "x"\nfiles = { each = "files" }\n'
RENEW = """
[[examples]]
name = "spent"
step = "renew"
request = { url = "https://api.example.com/v1/x" }
reply = { status = 401 }
outcome = { is = "Spent" }
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            HEAD + SUBMIT + changed(POLL_URL, f'{POLL_URL}method = "POST"\n', POLL) + INLINE,
            "operations.report: results that are inline need a poll by GET, because a large one is fetched again",
            id="inline by POST",
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
    ],
)
def test_each_message(text: str, fault: str) -> None:
    """One mistake, one line: file, key as it stands in the file, reason."""
    _, faults = read_spec("demo.toml", text)
    assert [str(one) for one in faults] == [f"demo.toml: {fault}"]
