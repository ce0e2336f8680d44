"""Unhandled failures by cause: what is wrong with their account or the storage now, and what a person can do."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tidewaiter.database.account_store import Pause, PauseCause
from tidewaiter.database.failure_store import UnhandledFailures
from tidewaiter.database.lane_rows import LaneStatus
from tidewaiter.domain.formatting import rfc3339

# The provider refused the request; except for a timeout and a limit it does so again.
_REFUSED: Final = re.compile(r"\bHTTP 4(?!08|29)\d\d\b")
_UNBUILT: Final = re.compile(r"^the submit cannot be built from the provider's spec")
_OF_STORAGE: Final = re.compile(r"storage|no space|disk", re.IGNORECASE)
_PAUSED: Final = {
    PauseCause.CREDENTIALS: (
        "the provider refused the credentials",
        "Fix the key and reload the configuration (SIGHUP), or resume the account; then retry the jobs.",
    ),
    PauseCause.TLS: (
        "the provider's certificate is not valid",
        "Check the provider's certificate, resume the account, then retry the jobs.",
    ),
    PauseCause.PERSON: ("by request", "Resume the account, then retry the jobs."),
}


class Remedy(StrEnum):
    """What a person can do about a group of failures."""

    ACCOUNT = "open account"
    RETRY = "retry all"
    ACKNOWLEDGE = "acknowledge all"


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one cause; ``trouble`` is what is wrong now, and ``remedies`` what to do, the safest first."""

    failures: UnhandledFailures
    trouble: str | None
    advice: str
    remedies: tuple[Remedy, ...]


def failure_groups(
    unhandled: Sequence[UnhandledFailures],
    pauses: Mapping[str, Pause],
    lanes: Sequence[LaneStatus],
    *,
    configured: Collection[str] | None = None,
    storage_trouble: str | None = None,
) -> list[FailureGroup]:
    """The groups, the one with the newest failure first.

    Args:
        unhandled: the failures by account, operation and cause.
        pauses: the paused accounts.
        lanes: the lanes of the accounts.
        configured: the configured accounts, if they are known.
        storage_trouble: why downloads wait for the storage, if they do.
    """
    broken = {lane.account: lane.closed_reason for lane in lanes if lane.closed_reason and not lane.closed_until}

    def group(one: UnhandledFailures) -> FailureGroup:
        on_account = (Remedy.ACCOUNT, Remedy.RETRY, Remedy.ACKNOWLEDGE)
        if configured is not None and one.account not in configured:
            advice = "Put the account back into the configuration, or acknowledge the failures."
            trouble = f"Account {one.account} is not in the configuration."
            return FailureGroup(one, trouble, advice, (Remedy.ACKNOWLEDGE,))
        if _UNBUILT.search(one.newest.reason or ""):  # whatever holds the account up now, it is not the cause
            advice = (
                "The spec cannot make a request of these parameters, so nothing was sent. Submit them with other "
                "parameters, or acknowledge the failures."
            )
            return FailureGroup(one, None, advice, (Remedy.ACKNOWLEDGE, Remedy.RETRY))
        if (pause := pauses.get(one.account)) is not None:
            why, advice = _PAUSED[pause.by]
            return FailureGroup(one, f"Account {one.account} is paused, {why}: {pause.reason}", advice, on_account)
        if (reason := broken.get(one.account)) is not None:
            trouble = f"The provider of account {one.account} is failing: {reason}"
            return FailureGroup(one, trouble, "Retry the jobs when the provider responds again.", on_account)
        if storage_trouble is not None and _OF_STORAGE.search(one.newest.reason or ""):
            advice = "Make the storage accept files again, then retry the jobs."
            return FailureGroup(one, f"The storage accepts no files: {storage_trouble}", advice, on_account[1:])
        if _REFUSED.search(one.newest.reason or ""):
            advice = (
                "The provider refused these requests, and refuses them again unless the cause is removed. Submit them "
                "with other parameters, or acknowledge the failures."
            )
            return FailureGroup(one, None, advice, (Remedy.ACKNOWLEDGE, Remedy.RETRY))
        advice = "Retry the jobs, or acknowledge the failures if the files are not needed."
        return FailureGroup(one, None, advice, (Remedy.RETRY, Remedy.ACKNOWLEDGE))

    return [group(one) for one in sorted(unhandled, key=lambda one: -one.newest.id)]


def group_json(group: FailureGroup) -> dict[str, Any]:
    """A group for programs."""
    one = group.failures
    return {
        "account": one.account,
        "operation": one.operation,
        "cause": one.cause,
        "jobs": one.jobs,
        "reason": one.newest.reason,
        "first_at": rfc3339(one.first_at),
        "last_at": rfc3339(one.last_at),
        "examples": list(one.examples),
        "trouble": group.trouble,
        "advice": group.advice,
        "remedies": [remedy.value for remedy in group.remedies],
    }
