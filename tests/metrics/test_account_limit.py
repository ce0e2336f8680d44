"""More accounts than may have series of their own: the rest is added up in one, and nothing is lost or shown twice."""

from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.metrics_page import UP, Samples, scrape
from tidewaiter.domain.account_scope import Scope
from tidewaiter.metrics.account_limit import AccountLimit
from tidewaiter.metrics.process_metrics import PROVIDER, Metrics
from tidewaiter.metrics.readings import DaemonReading, DatabaseReading, ExportReading, LaneReading, ProcessReading

NAMES = [f"account-{number}" for number in range(5)]


def of_five(most: int, told: list[int] | None = None) -> Metrics:
    """Metrics of a daemon with five accounts."""
    metrics = Metrics(AccountLimit(most, (told if told is not None else []).append))
    lanes = [
        LaneReading(number, name, in_flight=number, closed_s=10.0 * number, breaker_open=number == 4, left=2)
        for number, name in enumerate(NAMES)
    ]
    metrics.serve(
        {name: ["report"] for name in NAMES}, lambda: DaemonReading(lanes, {NAMES[3]: "tls", NAMES[4]: "tls"})
    )
    for number, name in enumerate(NAMES):
        work = {"account": name, "operation": "report"}
        metrics.observe("job.finished", {**work, "state": "succeeded", "total_s": 5.0 * number})
        metrics.observe("file.landed", {**work, "bytes": 100})
        metrics.requests(name, PROVIDER).replied(200, 0.02)
        for _ in range(number):
            metrics.polled(name)
    return metrics


def now() -> ProcessReading:
    """A database with jobs of every account, one that is configured no more among them."""
    names = [*NAMES, "gone"]
    paces = {(name, "report"): 60.0 for name in NAMES}
    exports = ExportReading(running_s=paces, usual_s=paces)
    overdue_s = {name: float(len(name)) for name in names}
    database = DatabaseReading({"queued": 6}, dict.fromkeys(names, 1), overdue_s, exports=exports)
    return replace(UP, database=database)


def accounts(samples: Samples) -> set[str]:
    """Every account that a series is of."""
    return {one.labels["account"] for family in samples.families for one in family.samples if "account" in one.labels}


def test_the_rest_is_one_account() -> None:
    """Counts are added, times and states are the largest, and operations and lanes are not told apart."""
    samples = scrape(of_five(2), now())
    assert accounts(samples) == {*NAMES[:2], "other"}
    other = {"account": "other"}
    work = {**other, "operation": "other"}
    assert samples("tidewaiter_polls_total", **other) == 2 + 3 + 4
    assert samples("tidewaiter_polls_total", account=NAMES[1]) == 1
    assert samples("tidewaiter_files_landed_total", **work) == 3
    assert samples("tidewaiter_landed_bytes_total", **work) == 300
    assert samples("tidewaiter_jobs_ended_total", **work, state="succeeded") == 3
    assert samples("tidewaiter_job_duration_seconds_count", **work) == 3
    assert samples("tidewaiter_job_duration_seconds_sum", **work) == 45
    assert samples("tidewaiter_job_duration_seconds_bucket", **work, le="10.0") == 1
    assert samples("tidewaiter_requests_total", **other, to=PROVIDER, status="2xx") == 3
    assert samples("tidewaiter_reply_seconds_bucket", **other, to=PROVIDER, le="+Inf") == 3
    assert samples("tidewaiter_lanes_owned", **other) == 3
    assert samples("tidewaiter_steps_in_flight", **other, lane="other") == 9
    assert samples("tidewaiter_lane_closed_seconds", **other, lane="other") == 40
    assert samples("tidewaiter_breaker_open", **other, lane="other") == 1
    assert samples("tidewaiter_account_paused", **other, by="tls") == 1
    assert samples("tidewaiter_jobs_due", **other) == 4
    assert samples("tidewaiter_overdue_seconds", **other) == len(NAMES[0])
    assert samples("tidewaiter_longest_running_seconds", **work) == 60
    assert samples("tidewaiter_usual_duration_seconds", **work) == 60
    assert samples("tidewaiter_accounts_in_other") == 4


@pytest.mark.parametrize("most", [1, 3])
def test_the_number_of_series_is_bounded(most: int) -> None:
    """A hundred accounts have no more series than one more than the limit."""
    few, many = Metrics(AccountLimit(most)), Metrics(AccountLimit(most))
    few.serve({f"account-{number}": ["report"] for number in range(most + 1)}, DaemonReading)
    many.serve({f"account-{number:02}": [f"report-{number}"] for number in range(100)}, DaemonReading)
    counts = [sum(len(family.samples) for family in scrape(one).families) for one in (few, many)]
    # "shop", which the database knows, is the account that the others are added to.
    assert counts[0] == counts[1]


def test_within_the_limit_nothing_changes() -> None:
    """Every account has its own series, and the metric says 0."""
    samples = scrape(of_five(6), now())
    assert accounts(samples) == {*NAMES, "gone"}
    assert samples("tidewaiter_accounts_in_other") == 0
    assert samples("tidewaiter_steps_in_flight", account=NAMES[2], lane="2") == 2


def test_an_account_that_is_called_as_the_sum() -> None:
    """It is a part of the sum, with its operations and lanes: nothing of it stands beside what is added up."""
    metrics = Metrics(AccountLimit(2))
    for name in ("other", *NAMES):
        metrics.observe("file.landed", {"account": name, "operation": "report", "bytes": 100})
        metrics.polled(name)
    samples = scrape(metrics, UP)
    assert accounts(samples) == {NAMES[0], "other"}
    assert samples("tidewaiter_files_landed_total", account="other", operation="other") == 5
    assert samples("tidewaiter_files_landed_total", account="other", operation="report") is None
    assert samples("tidewaiter_polls_total", account="other") == 5


def test_it_is_told_once() -> None:
    """The log gets one line, however often somebody scrapes, and another one for another limit."""
    told: list[int] = []
    metrics = of_five(4, told)
    for _ in range(3):
        scrape(metrics, now())
    assert told == [1]
    metrics.accounts.reconfigure(3)
    assert told == [1, 3]
    metrics.accounts.reconfigure(10)
    assert told == [1, 3]
    assert accounts(scrape(metrics, now())) == {*NAMES, "gone"}


def test_places_are_kept() -> None:
    """An account has its place until the process ends, so that no series jumps when another account comes or goes."""
    metrics = of_five(2)
    metrics.reconfigure({"a-new-one": ["report"], NAMES[4]: ["report"]})
    assert accounts(scrape(metrics, now())) == {*NAMES[:2], "other"}


def test_a_limited_token_sees_its_accounts_only() -> None:
    """What is added up for it are the accounts that it may see, even if one of them is called other."""
    limited = of_five(2).scrape(now()).limited_to(Scope(frozenset({NAMES[0], NAMES[4], "other"})))
    samples = Samples(limited.written("")[0].decode())
    assert accounts(samples) == {NAMES[0], "other"}
    assert samples("tidewaiter_polls_total", account="other") == 4
    assert samples("tidewaiter_accounts_in_other") is None


def test_open_metrics() -> None:
    """The sums are a valid exposition in the stricter format, too."""
    body, content_type = of_five(2).scrape(now()).written("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}  # type: ignore[no-untyped-call]
    assert len(families["tidewaiter_polls"].samples) == 3
