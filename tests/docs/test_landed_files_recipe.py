"""docs/recipes/reading-landed-files.md: its reader reads what lands, in a folder and in a bucket."""

import ast
import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import LocalStore, from_url

from tests.support.doc_pages import ROOT, blocks
from tests.support.s3 import Bucket
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import Artifact, folder_of, render_manifest

PAGE = ROOT / "docs/recipes/reading-landed-files.md"
AT = 1_796_000_000.0
JOB = Job(
    9, 1, "shop", "report", {"period": "LAST_DAY"}, State.FETCHING, 3, None, AT, AT + 9, submitted_at=AT, ready_at=AT
)
DATA = b"a,b\n"


@dataclass(frozen=True, slots=True)
class Consumer:
    """What the page gives to a consumer, and a store to use it on."""

    store: Any
    results: Any
    content: Any

    def land(self, job: Job, data: bytes = DATA, *, with_manifest: bool = True) -> Artifact:
        """What a daemon leaves of a job with one file."""
        folder = folder_of(job.account, job.operation, job.created_at, job.id)
        file = Artifact(0, "отчёт.csv", "x", f"{folder}/отчёт.csv", len(data), sha256(data).hexdigest(), "text/csv", AT)
        obstore.put(self.store, file.key, data)
        if with_manifest:
            document = render_manifest(job, params=job.params, labels={}, status=None, artifacts=[file], finished_at=AT)
            obstore.put(self.store, f"{folder}/manifest.json", document)
        return file


@pytest.fixture(params=["folder", "bucket"])
def consumer(request: pytest.FixtureRequest, tmp_path: Path) -> Consumer:
    """The page's reader, with an empty storage."""
    names: dict[str, Any] = {}
    exec(blocks(PAGE, "python")[0].text, names)  # noqa: S102  # the page's own
    if request.param == "folder":
        store: Any = LocalStore(tmp_path)
    else:
        bucket: Bucket = request.getfixturevalue("bucket")
        config: Any = {name: value for name, value in bucket.server.options.items() if name != "allow_http"}
        store = from_url(f"s3://{bucket.name}", client_options={"allow_http": True}, **config)
    return Consumer(store, names["results"], names["content"])


def test_a_result_is_ready_when_its_manifest_is_there(consumer: Consumer) -> None:
    """Oldest first, by number and not by text; a folder without a manifest is passed over."""
    assert list(consumer.results(consumer.store, "shop", "report")) == []
    for job_id in (10, 9, 100):
        consumer.land(replace(JOB, id=job_id))
    consumer.land(replace(JOB, id=11), with_manifest=False)
    consumer.land(replace(JOB, id=12, operation="other"))
    old = consumer.land(replace(JOB, id=8, created_at=AT - 86_400.0))
    found = list(consumer.results(consumer.store, "shop", "report"))
    assert [one["job"] for one in found] == [8, 9, 10, 100]
    assert found[0]["artifacts"][0]["key"] == old.key
    assert consumer.content(consumer.store, found[1]["artifacts"][0]) == DATA
    day = "/".join(folder_of("shop", "report", AT, 9).split("/")[2:5])
    assert [one["job"] for one in consumer.results(consumer.store, "shop", "report", since=day)] == [9, 10, 100]


def test_a_file_that_is_not_what_the_manifest_says(consumer: Consumer) -> None:
    """It is not loaded."""
    file = consumer.land(JOB)
    (manifest,) = consumer.results(consumer.store, "shop", "report")
    for data in (b"", b"b,a\n"):
        obstore.put(consumer.store, file.key, data)
        with pytest.raises(ValueError, match="is not what its manifest says"):
            consumer.content(consumer.store, manifest["artifacts"][0])


def test_the_example_has_the_members_of_a_manifest() -> None:
    """In their order, down to those of a file; times and the tick are as they are written."""
    (block,) = blocks(PAGE, "json")
    shown = json.loads(block.text)
    file = Artifact(0, "a.csv", "a", "x/a.csv", 1, "ab", "text/csv", AT)
    real = json.loads(render_manifest(JOB, params={}, labels={}, status=None, artifacts=[file], finished_at=AT))
    assert list(shown) == list(real)
    assert list(shown["artifacts"][0]) == list(real["artifacts"][0])
    for document in (shown, real):
        for name in ("created_at", "submitted_at", "ready_at", "finished_at"):
            assert document[name].endswith("Z"), name


def test_every_example_is_python() -> None:
    """They can be compiled; the first one is run by the tests above."""
    for block in blocks(PAGE, "python"):
        ast.parse(block.text)
