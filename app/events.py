"""The catalogue of log events: every name, level and field that the program may log.

``docs/events.md`` is made from it (``python -m app.events``), and logging an event or a field that is not in it fails
the tests. ERROR means that a person must act; WARNING that something is wrong which the daemon deals with itself.
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
_REASON = {"reason": "one sentence, redacted"}
_NOTIFICATION = {
    "notification": "its number", "endpoint": "its name in the configuration", "job": "job number",
    "account": "account name", "state": "what the receiver is told that the job has reached",
    "attempts": "attempts so far",
}  # fmt: skip
_LANE = {"lane": "lane number", "account": "account name"}

_EVENTS = (
    Event("daemon.started", "info", "The daemon is up and serves its lanes.", {
        "owner": "random name of this daemon's boot", "version": "program version", "database": "database, no password",
        "storage": "folder or URL of the landed files", "accounts": "number of accounts", "pid": "process id",
    }),
    Event("daemon.waited", "info", "Another daemon holds the database; this one stands by.", {
        "database": "database, no password",
    }),
    Event("daemon.stopping", "info", "A signal asked the daemon to stop; it drains.", {
        "signal": "name of the signal", "grace_s": "seconds given to steps under way",
    }),
    Event("daemon.stopped", "info", "The daemon has given its lanes back and ends.", {
        "clean": "whether every step ended within the grace", "uptime_s": "seconds since the start",
    }),
    Event("daemon.failed", "error", "A part of the daemon died; all of it ends, to be restarted clean.", _REASON),
    Event("config.reloaded", "info", "The configuration was read anew, and counts from now on.", {
        "changed": "keys whose values have changed; empty where nothing has",
        "origins": "files and variables in which they stand", "specs": "providers whose specs have changed",
        "lanes": "lanes that came to rest for it",
        "took_s": "seconds from the signal on, the rest of those lanes included",
    }),
    Event("config.refused", "error", "The configuration was read anew and has a fault; the one before goes on.", {
        "file": "file or variable with the fault", "key": "dotted key", "reason": "one sentence, which shows no value",
    }),
    Event("config.kept", "warning", "Some of what has changed in the configuration needs a restart to count.", {
        "keys": "keys whose values are as they were",
    }),
    Event("account.vanished", "warning", "An account is configured no longer; its jobs wait until it is again.", {
        "account": "account name", "jobs": "number of its jobs that have not ended",
    }),
    Event("heartbeat", "info", "Once a minute: how the daemon is.", {
        "jobs": "number of jobs by state", "oldest_due_s": "seconds by which the most overdue job is late",
        "loop_lag_s": "longest delay of the event loop since the last heartbeat", "lanes": "lanes owned",
        "in_flight": "steps under way", "polls": "polls since the last heartbeat",
        "landed_bytes": "bytes landed since the last heartbeat", "breakers": "paused accounts, with the reason",
        "clock_skew_s": "seconds by which the wall clock was moved since the start",
    }),
    Event("lane.taken", "info", "This daemon serves the lane from now on.", {
        **_LANE, "epoch": "fence of this lease", "clean": "whether the last owner gave it back",
    }),
    Event("lane.given_back", "info", "The lane is free for another daemon.", _LANE),
    Event("lane.lost", "warning", "The lease has passed on; steps under way were stopped.", _LANE),
    Event("account.paused", "warning", "The provider is left alone; the account's jobs wait unharmed.", {
        **_LANE, **_REASON, "until_s": "seconds until it is asked again; not there where a person has to resume it",
        "by": "person or tls; not there where the provider or its limit asks for a while of rest",
    }),
    Event("account.refused", "error", "The account's credentials are refused; its jobs wait until they are mended.", {
        "account": "account name", **_REASON,
    }),
    Event("account.resumed", "info", "A pause of the account has ended; its jobs go on, their deadlines moved.", {
        "account": "account name", "by": "whose doing the pause was: credentials, tls or person", **_REASON,
        "paused_s": "seconds that it lasted; not there where another process ended it",
    }),
    Event("account.reopened", "info", "A person has ended a closing of the account; one request tries it.", {
        **_LANE, "reason": "why it was closed", "left_s": "seconds that it would have lasted; 0 for a breaker",
    }),
    Event("schedule.ticked", "info", "A schedule has asked for its job.", {
        "schedule": "name of the schedule", "account": "account name", "job": "job number",
        "created": "false where another daemon was first", "late_s": "seconds after the tick",
    }),
    Event("schedule.missed", "warning", "Ticks of a schedule passed while no daemon ran, and are let go.", {
        "schedule": "name of the schedule", "account": "account name", "ticks": "number of ticks",
        "catch_up": "the schedule's policy: skip, last or all",
    }),
    Event("schedule.refused", "error", "A schedule's job was refused; the schedule goes on.", {
        "schedule": "name of the schedule", "account": "account name", **_REASON,
    }),
    Event("session.renewed", "info", "The account has signed in and has a fresh token.", {
        **_LANE, "expires_in_s": "seconds that the token is good for",
    }),
    Event("callback.received", "debug", "A provider has called back; the job is polled now, whatever the call said.", {
        **_STEP, "noted": "whether it was news: not where the job has a hint already, or is past polling",
    }),
    Event("callback.refused", "warning", "A request at the address for callbacks was no callback of a live job.", {
        **_REASON, "status": "HTTP status of the answer",
    }),
    Event("admin.acted", "info", "Somebody has changed something, or tried to: on a page, by the API or a command.", {
        "caller": "name of the token, or loopback; for a command the user of the system", "way": "page, api or cli",
        "action": "method and path, or the name of the action", "target": "what it is about, such as job 12",
        "outcome": "done, refused or failed", "status": "HTTP status of the answer",
        "remote": "address of the caller, behind trusted proxies too", "reason": "why, as the person says it",
        "acted_at": "when, in UTC; for a command, which a daemon logs within a second or so",
    }),
    Event("browser.signed_in", "info", "Somebody has shown a token at the page, and is known by a cookie now.", {
        "caller": "name of the token", "remote": "address of the caller",
    }),
    Event("browser.signed_out", "info", "Somebody has ended the session of a browser, in every process.", {
        "caller": "name of the token",
    }),
    Event("access.refused", "warning", "A request at the HTTP listener was turned away.", {
        **_REASON, "status": "HTTP status of the answer", "remote": "address of the caller",
    }),
    Event("access.slowed", "warning", "Too many wrong tokens came from an address; its tokens are not looked at.", {
        **_REASON, "remote": "address of the caller",
    }),
    Event("http.failed", "error", "A request met a fault of ours; the caller was told that it did.", {
        **_REASON, "method": "HTTP method", "path": "path of the request",
    }),
    Event("job.submitted", "info", "A new job was stored.", {
        **_JOB, "unique_key": "the job's unique key", "retry_of": "number of the job that this one repeats",
    }),
    Event("job.warned", "warning", "A parameter of a new job has a value that the spec does not list; it is sent.", {
        **_JOB, "key": "path of the parameter", **_REASON,
    }),
    Event("job.advanced", "info", "A job has changed its state; logged after the commit.", {
        **_STEP, "state_from": "state before", "outcome": "what the step learned", "handle": "name of the remote job",
        **_REASON, "polls": "polls so far", "due_in_s": "seconds until the next step",
    }),
    Event("job.troubled", "info", "A step did not bring its job on, for a new reason; the job goes on in its state.", {
        **_STEP, "outcome": "what the step learned; Throttled and the like charge the job nothing", **_REASON,
        "failures": "consecutive failures",
        "due_in_s": "seconds until the next step",
    }),
    Event("job.unmapped", "warning", "The provider gave a reply that no rule of the spec speaks of; polling goes on.", {
        **_STEP, **_REASON, "due_in_s": "seconds until the next poll",
    }),
    Event("job.stalled", "warning", "For long the provider has told nothing new of a remote job; polling goes on.", {
        **_STEP, **_REASON, "still_s": "seconds since it last told anything new", "polls": "polls so far",
        "due_in_s": "seconds until the next poll",
    }),
    Event("job.repeated", "warning", "A submit had no clear outcome, and is sent again where that is harmless.", {
        **_STEP, **_REASON, "unknowns": "submits in a row without a clear outcome",
        "due_in_s": "seconds until it is sent again",
    }),
    Event("job.waited", "debug", "The provider says: not ready yet.", {
        **_JOB, "status": "status word of the provider", "progress": "progress as the provider tells it",
        "polls": "polls so far", "due_in_s": "seconds until the next poll",
    }),
    Event("job.finished", "info", "The canonical line of a job that has reached its end.", {
        **_STEP, "outcome": "what the last step learned", "handle": "name of the remote job", **_REASON,
        "status": "last status word of the provider; partial where something is missing and it gave no word",
        "queued_s": "seconds from submission to the provider's acceptance",
        "polling_s": "seconds from acceptance to readiness", "fetching_s": "seconds from readiness to the landed files",
        "total_s": "seconds from submission to the end", "polls": "polls", "submits": "intents to submit",
        "fetches": "downloads begun", "files": "number of artifacts", "bytes": "sum of the artifacts' sizes",
        "sha256": "checksums of the first 100 artifacts; the manifest has all",
        "destination": "folder below the storage's folder or URL",
    }),
    Event("job.parked", "error", "Only a person can decide how the job goes on.", {**_STEP, **_REASON}),
    Event("job.failed", "error", "A job has ended without its files: failed or expired.", {
        **_STEP, **_REASON, "polls": "polls", "submits": "intents to submit", "fetches": "downloads begun",
        "total_s": "seconds from submission to the end", "handle": "name of the remote job", "outcome": "last outcome",
    }),
    Event("job.crashed", "error", "A step died on a fault of ours; the job goes on until it has crashed too often.", {
        **_STEP, **_REASON,
    }),
    Event("job.conflicted", "error", "Two jobs claim one remote job; the second was refused.", {**_JOB, **_REASON}),
    Event("update.dropped", "warning", "A write of an owner whose lease has passed on was refused.", {
        **_STEP, "outcome": "what the step had learned",
    }),
    Event("links.unreadable", "warning", "Stored links cannot be decrypted: the job is polled again, or parked.", {
        **_JOB, "reason": "one sentence, which names database.key_file",
    }),
    Event("file.landed", "info", "A file is durable under its final name.", {
        **_JOB, "key": "path below the storage's folder or URL", "bytes": "size", "sha256": "checksum",
        "resumed_from": "bytes that an earlier download had left",
    }),
    Event("file.digest_unread", "error", "An announced digest cannot be read: the spec picks something else.", {
        **_JOB, "label": "name that the provider gives the file", **_REASON,
    }),
    Event("artifact.unreadable", "error", "A landed file is not what it was, or cannot be read; who asked was told.", {
        "job": "job number", "key": "path below the storage's folder or URL", **_REASON,
    }),
    Event("storage.paused", "error", "The storage has no room or cannot be reached; downloads wait.", {
        **_REASON, "until_s": "seconds until it is tried again",
    }),
    Event("storage.resumed", "info", "The storage can be written again.", {}),
    Event("storage.swept", "info", "Left-over parts of downloads were removed.", {"parts": "number of files"}),
    Event("store.unavailable", "error", "The database cannot be written; nothing new is begun, outcomes are kept.", {
        **_REASON, "waiting": "outcomes not yet committed",
    }),
    Event("store.resumed", "info", "The database can be written again.", {"waiting": "outcomes that were kept"}),
    Event("notification.delivered", "info", "A receiver has taken a notification.", {
        **_NOTIFICATION, "late_s": "seconds after what it tells of",
    }),
    Event("notification.troubled", "info", "A notification was not taken, and will be sent again.", {
        **_NOTIFICATION, **_REASON, "due_in_s": "seconds until then",
    }),
    Event("notification.died", "error", "A notification was given up; `tidewaiter notifications retry` revives it.", {
        **_NOTIFICATION, **_REASON,
    }),
    Event("follower.failed", "error", "Metrics, page or feed met a fault of ours; what they follow goes on.", {
        "follower": "who it was", **_REASON,
    }),
    Event("library.logged", "warning", "A library that the daemon uses had something to say.", {
        "logger": "name of the library's logger", "message": "what it said, redacted", "traceback": "with a fault",
    }),
    Event("log.dropped", "warning", "The reader of the log stalled, so lines were lost.", {"lines": "number of lines"}),
    Event("jobs.purged", "info", "Jobs past their retention were deleted.", {"jobs": "number of jobs"}),
)  # fmt: skip

CATALOGUE: Mapping[str, Event] = {event.name: event for event in _EVENTS}

COMMON_FIELDS: Mapping[str, str] = {
    "timestamp": "RFC 3339, UTC",
    "level": "debug, info, warning or error",
    "event": "name of the event",
    "repeated": "how many equal lines were folded into this one",
}


def render() -> str:
    """The catalogue as the Markdown page ``docs/events.md``."""
    lines = [
        "# Log events",
        "",
        "Made from `app/events.py` by `make docs-events`; do not edit. Every line is one JSON object.",
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
