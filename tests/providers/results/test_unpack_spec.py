"""The key ``unpack`` of results: what it means for links, and where it is a fault."""

import pytest

from tests.support.spec_samples import HEAD as TOP
from tests.support.spec_samples import NOW, POLL, RESULTS, SUBMIT, WHOLE, changed, faults_of, job_with, operation_of
from tests.support.spec_samples import reply_of as reply
from tidewaiter.domain.outcome import Ready

URL = 'url = "/reports/${handle}/file"\n'
LISTED = TOP + SUBMIT + POLL + '[operations.report.results]\nfiles = { each = "files" }\nunpack = "KIND"\n'


@pytest.mark.parametrize(
    ("kind", "gzip", "archive"), [("zip", False, "zip"), ("tar.gz", False, "tar.gz"), ("gzip", True, None)]
)
def test_every_link_says_how_its_file_is_packed(kind: str, gzip: bool, archive: str | None) -> None:
    """``gzip`` is the key that a list of files has, set for all of them."""
    ready = operation_of(LISTED.replace("KIND", kind)).read_poll(
        job_with(), reply(200, {"status": "done", "files": [{"url": "https://x.example/a"}]}), NOW
    )
    assert isinstance(ready, Ready)
    assert [(link.gzip, link.archive) for link in ready.links] == [(gzip, archive)]
    (fixed,) = operation_of(changed(URL, f'{URL}unpack = "{kind}"\n')).links(job_with())
    assert (fixed.gzip, fixed.archive) == (gzip, archive)
    resolved = changed(URL, f'resolve = {{ url = "/link", link = "url" }}\nunpack = "{kind}"\n')
    links = operation_of(resolved).read_resolve(job_with(), reply(200, {"url": "https://x.example/a"}), NOW)
    assert isinstance(links, tuple)
    assert [(link.gzip, link.archive) for link in links] == [(gzip, archive)]


PAGES = 'pages = { url = "/p", items = "i" }\nunpack = "zip"\n'


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (URL, f'{URL}unpack = "rar"\n', ".unpack: must be 'zip', 'tar.gz' or 'gzip'"),
        (URL, PAGES, ": unpack is for files that come packed, and pages makes the file here: remove unpack"),
        (
            URL, 'inline = "head"\nunpack = "gzip"\n',
            ': unpack is for files that come packed, and inline = "head" makes the file here: remove unpack',
        ),
        (
            URL, 'files = { each = "f", gzip = "g" }\nunpack = "gzip"\n',
            ": unpack says how every file is packed, and gzip decides for each: keep one of them",
        ),
        (
            URL, 'resolve = { url = "/l", link = "u", gzip = "g" }\nunpack = "zip"\n',
            ": unpack says how every file is packed, and gzip decides for each: keep one of them",
        ),
    ],
)  # fmt: skip
def test_faults_name_the_key(old: str, new: str, fault: str) -> None:
    """Contradictions, and places without a packed file."""
    assert RESULTS in WHOLE
    assert faults_of(changed(old, new)) == [f"demo.toml: operations.report.results{fault}"]
