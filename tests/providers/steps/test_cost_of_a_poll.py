"""What replies to a poll and to a download cost in calls of our own functions."""

from tests.providers.newsletter import SETTINGS
from tests.support.own_calls import own_calls
from tests.support.spec_samples import NOW, built_in, job_with, reply_of
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.outcome import Pending

_MOST_CALLS = 62


def test_a_pending_poll_takes_few_calls() -> None:
    """Rules, word, progress and wait of a reply with six numbers, which none of them reads one by one."""
    operation = built_in("symplify", SETTINGS, "statistics")
    job = job_with("101111")
    numbers = {"id": 101111, "customerId": 0, "startTime": 1394636797030, "affected": 500, "processed": 5, "total": 9}
    reply = reply_of(200, {**numbers, "status": " PENDING"})
    operation.read_poll(job, reply, NOW)
    with own_calls() as counted:
        read = operation.read_poll(job, reply, NOW)
    assert isinstance(read, Pending)
    assert counted.total() <= _MOST_CALLS, counted.most_common()


def test_a_reply_with_the_file_is_not_quoted() -> None:
    """To quote a file, as for an error, takes longer than to land it: its text is searched for secrets."""
    operation = built_in("symplify", SETTINGS, "statistics")
    reply = reply_of(200, ["x" * 10_000])
    with own_calls() as counted:
        trouble = operation.read_file(job_with("101111"), Link("https://files.example.org/f"), reply, NOW)
    assert trouble is None
    assert not [name for name in counted if name.startswith(("Redactor.", "Messages."))]
