"""Notifications: their receivers, their body, and the delays between attempts."""

import json
from dataclasses import replace
from random import Random

from tests.support.ended_job import AT, FILE, JOB
from tidewaiter.domain.job import State
from tidewaiter.domain.notification import RETRY_S, Subscription, body_of, delivery_retry_in, message_id


def test_the_body() -> None:
    """Type, time and data, by the names that `jobs show --json` has; nothing that opens somebody's data."""
    body = body_of(JOB, AT, [FILE], 1)
    assert json.loads(body) == {
        "type": "job.succeeded",
        "timestamp": "2025-06-15T15:06:40.250Z",
        "data": {
            "id": 7,
            "account": "acme",
            "operation": "statistics",
            "state": "succeeded",
            "reason": None,
            "unique_key": "nightly",
            "retry_of": None,
            "created_at": "2025-06-15T15:05:40.250Z",
            "finished_at": "2025-06-15T15:06:40.250Z",
            "traceparent": None,
            "labels": {},
            "artifacts": [
                {
                    "name": "opens.csv",
                    "key": "acme/opens.csv",
                    "size": 12,
                    "sha256": "ab" * 32,
                    "media_type": "text/csv",
                }
            ],
            "artifacts_total": 1,
        },
    }
    assert "canary" not in body


def test_the_id_names_the_event() -> None:
    """The same job in the same state has one id; another version, job or database has another; no full stop."""
    ids = {
        message_id(JOB),
        message_id(replace(JOB, reason="told otherwise")),
        message_id(replace(JOB, version=6)),
        message_id(replace(JOB, id=8)),
        message_id(replace(JOB, created_at=JOB.created_at + 0.001)),
    }
    assert len(ids) == 4
    assert all(one.startswith("msg_") and "." not in one for one in ids)


def test_who_wants_what() -> None:
    """State and account both have to be wanted; without accounts all are."""
    failures = Subscription("ops", frozenset({State.FAILED}))
    of_acme = Subscription("acme", frozenset({State.FAILED, State.SUCCEEDED}), frozenset({"acme"}))
    failed, other = replace(JOB, state=State.FAILED), replace(JOB, account="other")
    assert [failures.includes(job) for job in (JOB, failed, other)] == [False, True, False]
    assert [of_acme.includes(job) for job in (JOB, failed, other)] == [True, True, False]


def test_ten_attempts_in_three_days() -> None:
    """Each pause is the schedule's, a tenth more or less; after the tenth attempt there is none."""
    rand = Random(3)
    pauses = [delivery_retry_in(attempts, rand) for attempts in range(1, 11)]
    assert pauses[-1] is None
    told = [pause for pause in pauses if pause is not None]
    assert len(told) == len(RETRY_S) == 9
    assert all(0.9 * meant <= pause <= 1.1 * meant for pause, meant in zip(told, RETRY_S, strict=True))
    assert len({pause / meant for pause, meant in zip(told, RETRY_S, strict=True)}) > 5
    assert 2.5 * 86_400 < sum(RETRY_S) < 3 * 86_400


def test_what_a_receiver_may_ask() -> None:
    """Retry-After puts an attempt off, by a day at most, and never brings it nearer."""
    assert delivery_retry_in(1, Random(1), 600.0) == 600.0
    assert delivery_retry_in(1, Random(1), 1e9) == 86_400.0
    sooner = delivery_retry_in(5, Random(1), 0.0)
    assert sooner is not None
    assert sooner > 6000.0
    assert delivery_retry_in(10, Random(1), 600.0) is None
