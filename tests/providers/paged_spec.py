"""A spec with results in pages, and its reader."""

from tests.support.spec_samples import HEAD, job_with, operation_of
from tidewaiter.providers.results.paged_lists import PageReader

PAGES = """
[operations.report]
title = "Report"

[operations.report.results.pages]
url = "/list"
query = { n = "${page.number}", o = "${page.offset}", s = "${page.size}" }
size = 2
items = "data.items"
"""


def reader_of(text: str) -> PageReader:
    """What reads the pages of a spec's only operation."""
    reader = operation_of(HEAD + text).pages(job_with(None))
    assert reader is not None
    return reader
