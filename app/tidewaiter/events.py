"""The catalogue of log events: every name, level and field that the program may log.

``docs/events.md`` is made from it (``python -m tidewaiter.events``). A test fails if it logs an event or a field that
is not in the catalogue. ERROR means that a person must act; WARNING that the daemon handles a problem itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of log line: ``fields`` maps each field's name to what it holds, with its unit."""

    name: str
    level: str
    meaning: str
    fields: Mapping[str, str]


_JOB = {"job": "job number", "account": "account name", "operation": "operation name"}
_STEP = {**_JOB, "state": "state of the job"}
_CALLER = {"labels": "labels of the job", "traceparent": "trace of the caller (W3C Trace Context)"}
_REASON = {"reason": "one sentence, redacted"}
_SCHEDULE = {"schedule": "name of the schedule that the job is a run of"}
_NOTIFICATION = {
    "notification": "its number", "endpoint": "its name in the configuration", "job": "job number",
    "account": "account name", "state": "the state that the notification reports",
    "attempts": "attempts so far", "batch": "the batch that has ended, if it is about one",
}  # fmt: skip
_NUMBERS = {
    "outcome": "what the last step learned", "handle": "name of the remote job",
    "status": "last status word of the provider, or partial if a rule said so without a word",
    "queued_s": "seconds from submission to the provider's acceptance, or to the end",
    "polling_s": "seconds from acceptance to readiness, or to the end",
    "fetching_s": "seconds from readiness to the landed files, or to the end",
    "total_s": "seconds from submission to the end", "polls": "polls", "submits": "intents to submit",
    "fetches": "downloads begun", "files": "number of artifacts", "bytes": "sum of the artifacts' sizes",
}  # fmt: skip
_LANE = {"lane": "lane number", "account": "account name"}

_EVENTS = (
    Event("daemon.started", "info", "The daemon has started and serves its lanes.", {
        "owner": "random name of this daemon's boot", "version": "program version", "database": "database, no password",
        "storage": "folder or URL of the landed files", "accounts": "number of accounts", "pid": "process id",
    }),
    Event("http.started", "info", "The HTTP listener is up: status page, API, health and metrics.", {
        "url": "address of the status page",
    }),
    Event("daemon.waited", "info", "Another daemon uses the database; this one waits.", {
        "database": "database, no password",
    }),
    Event("daemon.stopping", "info", "A signal asked the daemon to stop; it drains.", {
        "signal": "name of the signal", "grace_s": "seconds that running steps get to end",
    }),
    Event("daemon.stopped", "info", "The daemon has released its lanes and stops.", {
        "clean": "whether every step ended within grace_s", "uptime_s": "seconds since the start",
    }),
    Event("daemon.failed", "error", "A part of the daemon failed; the whole daemon stops, for a restart.", _REASON),
    Event("config.reloaded", "info", "The configuration was read again and is used from now on.", {
        "changed": "keys whose values have changed; may be empty",
        "origins": "files and variables with the changed values", "specs": "providers whose specs have changed",
        "lanes": "lanes that were drained for the new configuration",
        "took_s": "seconds since the signal, with the drain of those lanes",
    }),
    Event("config.refused", "error", "The new configuration has a fault; the old one stays in use.", {
        "file": "file or variable with the fault", "key": "dotted key", "reason": "one sentence, without the value",
    }),
    Event("config.kept", "warning", "Some changes of the configuration need a restart.", {
        "keys": "keys whose old values stay in use",
    }),
    Event("account.vanished", "warning", "An account is no longer configured; its jobs wait until it is.", {
        "account": "account name", "jobs": "number of its jobs that have not ended",
    }),
    Event("account.faulty", "error", "An account is not served, because the spec of its provider has a fault.", {
        "account": "account name", "provider": "name of the provider", "reason": "file, key and fault",
    }),
    Event("heartbeat", "info", "The status of the daemon, by default once a minute.", {
        "jobs": "number of jobs by state",
        "oldest_due_s": "seconds by which the most overdue job is late; downloads under way are not",
        "loop_lag_s": "longest delay of the event loop since the last heartbeat", "lanes": "lanes owned",
        "in_flight": "steps under way", "polls": "polls since the last heartbeat",
        "landed_bytes": "bytes landed since the last heartbeat", "breakers": "paused accounts, with the reason",
        "clock_skew_s": "seconds by which the wall clock was moved since the start",
    }),
    Event("lane.taken", "info", "This daemon serves the lane from now on.", {
        **_LANE, "epoch": "fence of this lease", "clean": "whether the last owner gave it back",
    }),
    Event("lane.given_back", "info", "The lane is free for another daemon.", _LANE),
    Event("lane.lost", "warning", "The lease was lost to another daemon; running steps were stopped.", _LANE),
    Event("account.paused", "warning", "No request is sent for the account; its jobs wait and are charged nothing.", {
        **_LANE, **_REASON, "until_s": "seconds until the next request; absent if a person must resume it",
        "by": "person or tls; absent if the provider or its limit asks for a delay",
        "cause": "person, tls, throttled (the provider refused a request) or limit (its headers say it is used up)",
    }),
    Event("account.refused", "error", "The account's credentials are refused; its jobs wait for correct ones.", {
        "account": "account name", **_REASON,
    }),
    Event("account.resumed", "info", "A pause of the account has ended; its jobs continue, with later deadlines.", {
        "account": "account name", "by": "cause of the pause: credentials, tls or person", **_REASON,
        "paused_s": "seconds that it lasted; absent if another process ended it",
    }),
    Event("account.reopened", "info", "A person has ended a pause early; the next request is a test.", {
        **_LANE, "reason": "why it was paused", "left_s": "seconds that were left; 0 for a breaker",
    }),
    Event("schedule.ticked", "info", "A schedule has submitted its job.", {
        "schedule": "name of the schedule", "account": "account name", "job": "job number",
        "created": "false if another daemon was first", "late_s": "seconds after the tick",
    }),
    Event("schedule.paused", "info", "A person has paused the schedule, or it is paused when the daemon starts.", {
        "schedule": "name of the schedule", "account": "account name", "by": "who paused it",
        "reason": "the person's reason; absent without one",
    }),
    Event("schedule.resumed", "info", "The pause of the schedule has ended; `catch_up` decides about what passed.", {
        "schedule": "name of the schedule", "account": "account name", "paused_s": "seconds that it lasted",
    }),
    Event("schedule.missed", "warning", "Ticks passed while no daemon ran or in a pause, and are skipped.", {
        "schedule": "name of the schedule", "account": "account name", "ticks": "number of ticks",
        "catch_up": "the schedule's policy: skip, last or all",
    }),
    Event("schedule.refused", "error", "A schedule's job was refused; the schedule continues.", {
        "schedule": "name of the schedule", "account": "account name", **_REASON,
    }),
    Event("session.renewed", "info", "The account has a new token, from a login or signed by itself.", {
        **_LANE, "expires_in_s": "seconds for which the token is valid",
    }),
    Event("refresh_token.stored", "info", "A login has replaced the account's refresh token.", _LANE),
    Event("refresh_token.replaced", "info", "The stored refresh token has given way to a newly configured one.", _LANE),
    Event("refresh_token.ignored", "warning", "A login has given a new refresh token, but the spec says that none "
          "comes (rotates = false): if the old one ends, so does the account.", _LANE),
    Event("callback.received", "debug", "A provider has called back; the job is polled now. The content is ignored.", {
        **_STEP, "noted": "false if the job had a wake-up already, or is not polled any more",
    }),
    Event("callback.refused", "warning", "A request to the callback address does not belong to a live job.", {
        **_REASON, "status": "HTTP status of the answer",
    }),
    Event("admin.acted", "info", "A person or program has made a change, or tried to, by page, API or command.", {
        "caller": "name of the token, or loopback; for a command the system's user", "way": "page, api or cli",
        "action": "method and path, or the name of the action", "target": "object of the action, such as job 12",
        "outcome": "done, refused or failed", "status": "HTTP status of the answer",
        "remote": "address of the caller, also behind trusted proxies", "reason": "the reason that the person gave",
        "acted_at": "when, in UTC; only for a command, which a daemon logs about a second later",
    }),
    Event("browser.signed_in", "info", "A person has signed in to the status page with a token.", {
        "caller": "name of the token", "remote": "address of the caller",
    }),
    Event("browser.signed_out", "info", "A person has ended a browser session, in every process.", {
        "caller": "name of the token",
    }),
    Event("access.refused", "warning", "A request to the HTTP listener was refused.", {
        **_REASON, "status": "HTTP status of the answer", "remote": "address of the caller",
    }),
    Event("access.slowed", "warning", "An address sent too many wrong tokens; its tokens are not checked now.", {
        **_REASON, "remote": "address of the caller",
    }),
    Event("http.failed", "error", "A request failed because of a bug; the caller got an error.", {
        **_REASON, "method": "HTTP method", "path": "path of the request",
    }),
    Event("job.submitted", "info", "A new job was stored.", {
        **_JOB, "unique_key": "the job's unique key", "retry_of": "number of the job that this one repeats",
        "params": "its parameters, without secrets", "caller": "who asked: name of the token, or daemon for a schedule",
        "way": "page, api, cli or daemon",
        **_CALLER,
    }),
    Event("job.warned", "warning", "A parameter of a new job has a value that is not in the spec; the value is sent.", {
        **_JOB, "key": "path of the parameter", **_REASON,
    }),
    Event("job.advanced", "info", "A job has changed its state; logged after the commit.", {
        **_STEP, "state_from": "state before", "outcome": "what the step learned",
        "stage": "request that is next of several that make and start the remote job",
        "handle": "name of the remote job",
        **_REASON, "polls": "polls so far", "due_in_s": "seconds until the next step",
    }),
    Event("job.troubled", "info", "A step made no progress, for a new reason; the job stays in its state.", {
        **_STEP, "outcome": "what the step learned; Throttled and similar outcomes do not charge the job", **_REASON,
        "failures": "consecutive failures",
        "due_in_s": "seconds until the next step",
    }),
    Event("job.unmapped", "warning", "The provider gave a reply that no rule of the spec covers; polling continues.", {
        **_STEP, **_REASON, "due_in_s": "seconds until the next poll",
    }),
    Event("job.stalled", "warning", "A remote job has shown no progress for a long time; polling continues.", {
        **_STEP, **_REASON, "still_s": "seconds since the last progress", "polls": "polls so far",
        "due_in_s": "seconds until the next poll",
    }),
    Event("job.slow", "warning", "A job runs much longer than usual, at least than 95 % of the jobs before it.", {
        **_STEP, "running_s": "seconds since its submit",
        "usual_s": "seconds that 95 % did not exceed: of its kind until ready, or of its operation until the end",
    }),
    Event("job.repeated", "warning", "A submit had no clear outcome, and is sent again: it is repeatable.", {
        **_STEP, **_REASON, "unknowns": "submits in a row without a clear outcome",
        "due_in_s": "seconds until it is sent again",
    }),
    Event("reuse.skipped", "info", "No remote job could be looked up for reuse, so the job is submitted.", {
        **_JOB, **_REASON,
    }),
    Event("job.postponed", "warning", "The provider failed it for a passing reason; it is submitted again later.", {
        **_STEP, **_REASON, "agains": "submits for that reason, this one included",
        "due_in_s": "seconds until it is sent again",
    }),
    Event("job.waited", "debug", "The provider says that the job is not ready yet.", {
        **_JOB, "status": "status word of the provider", "progress": "progress that the provider reports",
        "polls": "polls so far", "due_in_s": "seconds until the next poll",
    }),
    Event("job.finished", "info", "A job has succeeded or was cancelled; this line has all its numbers.", {
        **_STEP, **_SCHEDULE, **_REASON, **_NUMBERS,
        "sha256": "checksums of the first 100 artifacts; the manifest has all",
        "destination": "folder below the storage's folder or URL", **_CALLER,
    }),
    Event("backfill.advanced", "info", "Windows of a backfill were submitted, or need no job.", {
        "backfill": "name of the backfill", "account": "account name", "operation": "operation name",
        "jobs": "new jobs", "reused": "windows whose results had landed already",
        "submitted": "windows so far", "windows": "windows of the backfill",
    }),
    Event("backfill.paused", "error", "The job of a window is refused, so the backfill waits until it is resumed.", {
        "backfill": "name of the backfill", "account": "account name", **_REASON,
    }),
    Event("batch.ended", "info", "The last job of a batch has ended; one that joins later opens the batch again.", {
        "batch": "name of the batch", "jobs": "number of its jobs", "succeeded": "how many succeeded",
        "failed": "how many failed", "expired": "how many expired", "cancelled": "how many were cancelled",
        "total_s": "seconds from the batch's first submit to its end",
    }),
    Event("job.parked", "error", "Only a person can decide how the job continues.", {**_STEP, **_REASON}),
    Event("job.failed", "error", "A job has ended without its files: failed or expired. It has the same numbers.", {
        **_STEP, **_SCHEDULE, **_REASON, **_NUMBERS,
        **_CALLER,
    }),
    Event("job.crashed", "error", "A step failed because of a bug; the job continues until that happens too often.", {
        **_STEP, **_REASON,
    }),
    Event("job.conflicted", "error", "Two jobs claim one remote job; the second was refused.", {**_JOB, **_REASON}),
    Event("update.dropped", "warning", "A write by a daemon that lost its lease was refused.", {
        **_STEP, "outcome": "what the step learned",
    }),
    Event("links.unreadable", "warning", "Stored links cannot be decrypted; the job is polled again or parked.", {
        **_JOB, "reason": "one sentence, with database.key_file",
    }),
    Event("file.landed", "info", "A file is durable under its final name.", {
        **_JOB, "key": "path below the storage's folder or URL", "bytes": "size", "sha256": "checksum",
        "resumed_from": "bytes that an earlier download had received",
    }),
    Event("file.digest_unread", "error", "An announced digest cannot be read; the spec is wrong.", {
        **_JOB, "label": "name that the provider gives the file", **_REASON,
    }),
    Event("artifact.unreadable", "error", "A landed file has changed or cannot be read; the caller got an error.", {
        "job": "job number", "key": "path below the storage's folder or URL", **_REASON,
    }),
    Event("storage.paused", "error", "The storage has no room or cannot be reached; downloads wait.", {
        **_REASON, "until_s": "seconds until the next try",
    }),
    Event("storage.resumed", "info", "The storage works again.", {}),
    Event("storage.swept", "info", "Left-over parts of downloads were deleted.", {"parts": "number of files"}),
    Event("store.unavailable", "error", "The database cannot be written; no step starts, and outcomes are kept.", {
        **_REASON, "waiting": "outcomes not yet committed",
    }),
    Event("store.lost", "error", "The database file or its -wal was deleted or replaced; the daemon ends with 74.", {
        **_REASON,
    }),
    Event("store.newer", "warning", "A newer program has upgraded the tables; this daemon gives its lanes back.", {
        "revision": "of the tables", "lanes": "how many this daemon had",
    }),
    Event("store.resumed", "info", "The database works again.", {"waiting": "outcomes that were kept"}),
    Event("notification.delivered", "info", "An endpoint has accepted a notification.", {
        **_NOTIFICATION, "late_s": "seconds after the event",
    }),
    Event("notification.troubled", "info", "A notification was not accepted, and is sent again; repeats are folded.", {
        **_NOTIFICATION, **_REASON, "due_in_s": "seconds until then",
    }),
    Event("notification.died", "error", "No more attempts are made; `tidewaiter notifications retry` resends it.", {
        **_NOTIFICATION, **_REASON,
    }),
    Event("endpoint.failing", "warning", "An endpoint has accepted no notification for minutes; said again hourly.", {
        "endpoint": "its name in the configuration", **_REASON, "failures": "failed attempts since the last delivery",
        "for_s": "seconds since the first of them",
    }),
    Event("endpoint.recovered", "info", "An endpoint that had failed for minutes has accepted a notification.", {
        "endpoint": "its name in the configuration", "failures": "failed attempts before it",
        "for_s": "seconds since the first of them",
    }),
    Event("follower.failed", "error", "Metrics, page or feed failed because of a bug; the daemon continues.", {
        "follower": "which one failed", **_REASON,
    }),
    Event("library.logged", "warning", "A library has logged a warning or an error.", {
        "logger": "name of the library's logger", "message": "its message, redacted", "traceback": "of an exception",
    }),
    Event("metrics.limited", "warning", "Accounts beyond `[http] metrics_accounts` share their series.", {
        "accounts": "number of accounts without series of their own, at that moment",
    }),
    Event("log.dropped", "warning", "The reader of the log stalled; lines were lost.", {"lines": "number of lines"}),
    Event("jobs.purged", "info", "Jobs past their retention were deleted.", {"jobs": "number of jobs"}),
)  # fmt: skip

CATALOGUE: Mapping[str, Event] = {event.name: event for event in _EVENTS}

COMMON_FIELDS: Mapping[str, str] = {
    "timestamp": "RFC 3339, UTC",
    "level": "debug, info, warning or error",
    "event": "name of the event",
    "repeated": "how many equal lines this one stands for",
}


def render() -> str:
    """The catalogue as the Markdown page ``docs/events.md``."""
    lines = [
        "# Log events",
        "",
        "Made from `app/tidewaiter/events.py` by `make docs-events`; do not edit. Every line is one JSON object.",
        "ERROR means that a person must act.",
        "",
        "Every event has: " + ", ".join(f"`{name}` ({meaning})" for name, meaning in COMMON_FIELDS.items()) + ".",
    ]
    for event in sorted(_EVENTS, key=lambda one: one.name):
        lines += ["", f"## `{event.name}`", "", f"{event.level.upper()}. {event.meaning}"]
        if event.fields:
            lines += ["", "| field | holds |", "|---|---|"]
            lines += [f"| `{name}` | {meaning} |" for name, meaning in event.fields.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(render())
