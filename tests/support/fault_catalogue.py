"""What goes wrong and what is right then, by number; tests name it in their markers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: what goes wrong, and what is right then; ``gap`` is what of it Tidewaiter does not do yet."""

    number: int
    what: str
    right: str
    gap: str = ""


INVARIANTS: Final[Mapping[int, str]] = {
    1: "A job that was accepted never vanishes, and is in exactly one state.",
    2: "There is at most one POST for each intent, unless it was provably not sent, the remote job was shown to be "
    "absent, the spec says `repeatable`, or a person decided.",
    3: "Every remote job that was made is followed by one of our jobs, or the doubt about it is on record.",
    4: "An ended job does not change; each history row begins where the one before it ended.",
    5: "Nobody writes for a lane whose lease has passed on.",
    6: "A job that succeeded has every file: durable, whole, with its checksum, and the manifest was written last.",
    7: "Once nothing goes wrong any more, every job ends within a bound.",
    8: "A provider's rate limit is never exceeded, across restarts and daemons.",
    9: "A callback alone changes no outcome.",
    10: "No secret is in a log, an error, the database, a metric, a page, or a request to a foreign origin.",
    11: "A blocked address gets no packet.",
    12: "Memory, tasks, descriptors and temporary files return to where they were.",
    13: "The same seed gives the same trace.",
}

_PROCESS = (
    Fault(
        1, "killed before the POST", "only the intent is there; the submit was provably not sent, or it is reconciled"
    ),
    Fault(
        2,
        "killed between the POST and its commit",
        "the remote job is adopted, or the submit repeated where the spec permits it, or the job is parked; never a "
        "blind second POST",
    ),
    Fault(3, "killed in a download", "it goes on or begins again; no half file is ever visible"),
    Fault(4, "killed after a file landed, before its commit", "the checksum decides; there is no second file"),
    Fault(
        5,
        "SIGTERM, SIGINT",
        "no new step, a drain within the grace, lanes given back, exit 0; a second signal ends at once",
    ),
    Fault(6, "the daemon is PID 1", "an entry point in exec form, and handlers before anything is waited for"),
    Fault(7, "a background task dies", "the whole daemon ends with an ERROR, to be started again; never half of one"),
    Fault(8, "the event loop hangs", "liveness fails; it asks neither database nor provider, readiness does"),
    Fault(
        9,
        "a job crashes its own step, or the daemon",
        "the attempt is counted before the work; that job fails, the lane goes on, even if each step ends the daemon",
    ),
    Fault(10, "two versions during an upgrade", "both can read the rows; a newer schema is refused"),
)
_DATABASE = (
    Fault(
        11, "a commit whose acknowledgement is late or lost", "it is looked up by its version, and never applied twice"
    ),
    Fault(12, "SQLITE_BUSY", "one writer, BEGIN IMMEDIATE, a bounded wait, then not ready"),
    Fault(13, "power loss", "intents and outcomes survive: synchronous=FULL in group commits"),
    Fault(14, "ENOSPC, EIO", "no submit, not ready, loud; it goes on by itself"),
    Fault(15, "PostgreSQL is restarted, or a socket is half open", "time limits, connections made again, no job lost"),
    Fault(
        16,
        "the lease passes on while the daemon is stopped",
        "its writes are refused; the lease is looked at before a POST is sent",
    ),
    Fault(17, "another pod gets the same host name", "who owns a lane is random for each start"),
    Fault(18, "a newer schema; a second daemon on SQLite", "refused with a sentence; stands by"),
)
_NETWORK = (
    Fault(19, "no address, a refused connection", "provably not sent: tried again"),
    Fault(20, "no answer in time after the request was sent", "a submit is in doubt as in 2; a poll is repeated"),
    Fault(21, "the reply to a poll is cut off or malformed", "polled again, counted as a failure"),
    Fault(22, "TLS fails", "never without TLS; the account is paused"),
    Fault(
        23,
        "a body stalls or trickles",
        "a time limit between reads and a least rate; no limit for the whole of a healthy download",
    ),
)
_PROVIDER = (
    Fault(
        24,
        "Retry-After of any kind: seconds, date, past, negative, 10^10, not ASCII, absent",
        "read strictly, bounded, else our own backoff; never a hot loop",
    ),
    Fault(25, "a storm of 5xx", "a circuit breaker for each account, one request to try, few requests"),
    Fault(
        26,
        "401 or 403 of the API",
        "credentials are renewed once where they can be; else the account is paused and its jobs wait unharmed",
    ),
    Fault(27, "200 with an error or with HTML", "the rules decide; a status alone is no success"),
    Fault(28, "a status that is unknown or goes back", "no end, loud, until the deadline"),
    Fault(29, "404 for the remote job", "taken for lag at first, then gone"),
    Fault(
        30,
        "the remote job never ends, or stands still",
        "the stall limit or the deadline ends the job, and the remote job is cancelled",
    ),
    Fault(31, "the list of remote jobs lags", "a time to wait before a remote job is taken for absent"),
    Fault(32, "another job has the handle already", "a unique index, and an alarm"),
    Fault(33, "no rows", "a success"),
    Fault(34, "a restart with very many due jobs", "jitter; the limit holds; no herd"),
    Fault(35, "the provider says that it is a duplicate", "followed; two of our jobs may share a remote job"),
)
_DOWNLOAD = (
    Fault(
        36, "a redirect to another origin", "no credential goes along, five redirects at most, never from https to http"
    ),
    Fault(37, "a signed URL has expired", "a fresh one is asked for, a bounded number of times"),
    Fault(
        38,
        "a short body, a wrong Content-Length or checksum",
        "incomplete: it goes on or begins again; never a success",
    ),
    Fault(39, "the file changes between two parts", "another entity tag: it begins again"),
    Fault(40, "200 to a request for a range; 416", "it begins again; a 416 is compared with what is there"),
    Fault(41, "a gzip or zip bomb, a body without end", "bounds for bytes and for the ratio"),
    Fault(42, "one of several files fails", "the others are kept; the manifest waits"),
)
_STORAGE = (
    Fault(43, "the storage is full", "the temporary file is removed, downloads pause, the job is kept"),
    Fault(
        44,
        "temporary files and uploads that nobody works on",
        "swept by job and age; the lifecycle of a bucket removes unfinished uploads",
    ),
    Fault(
        45, "a provider's file name is `../../etc/passwd`, empty, very long or not Unicode", "it is a label, not a path"
    ),
    Fault(46, "the outcome of an upload is unknown", "a conditional put, and the checksum is compared"),
)
_CALLBACKS = (
    Fault(47, "a forged token", "the same 404 for all, nothing is written, in constant time"),
    Fault(48, "a true token with a forged body", "one poll, nothing else"),
    Fault(
        49, "a callback that comes twice, late, or before our submit is committed", "nothing happens, or it helps in 2"
    ),
    Fault(50, "a flood, a large body, a slow body", "16 KiB, one write for many, a rate limit, time limits"),
    Fault(51, "a JSON bomb, NaN, huge integers", "refused, or not looked into"),
    Fault(52, "it never comes", "polling suffices"),
)
_CLOCK = (
    Fault(53, "the wall clock jumps by a day", "waits go by a steady clock; jobs do not expire in a herd"),
    Fault(54, "the clocks of the daemons differ", "the database's clock decides about leases"),
    Fault(55, "a faulty configuration", "every fault at once, with file and key, exit 78, nothing is started"),
    Fault(56, "SIGHUP with a faulty file", "the old configuration stays, and the fault is logged"),
)
_SECURITY = (
    Fault(57, "a URL to a private address, in any form, or by rebinding", "refused at the socket"),
    Fault(58, "secrets in exceptions, logs and URLs", "redacted everywhere"),
    Fault(59, "proxy variables, .netrc", "ignored unless they are configured"),
    Fault(
        60,
        "the API without a token, with a wrong one, or from another site",
        "401 or 403; a public listener without tokens does not start",
    ),
    Fault(61, "HTML in parameters, names or errors", "escaped on the page, with a strict Content-Security-Policy"),
    Fault(62, "a container", "not root, a read-only root, no capability"),
)
_REPLIES = (
    Fault(
        63,
        "a range that is shorter, later, overlapping, of another entity tag, not asked for, or without Content-Range",
        "it goes on or begins again; a slice is never taken for the whole",
    ),
    Fault(
        64,
        "the database file is deleted or exchanged, or loses its WAL, under the daemon",
        "it accepts nothing, says so and ends; an empty file is not taken for a new one",
    ),
    Fault(65, "a daemon past its lease still wants to send", "no request of any kind leaves"),
    Fault(66, "text that makes an expression, a parser or a redactor slow", "linear time; the event loop answers"),
    Fault(
        67,
        "a reply with a million files, fields, pages or values",
        "bounded, with a clear error; memory is bounded by a page",
    ),
    Fault(68, "2xx that is no file: 202, 204, 205, HTML, a login page, packed bytes", "it never lands"),
    Fault(69, "the list of files changes between two tries", "files are paired by what they are, not by their place"),
    Fault(70, "a file that appears some time after the remote job is ready", "backoff, charged with nothing but time"),
    Fault(
        71,
        "nobody can read the replies to a submit, again and again",
        "a growing, bounded delay, then parked; logged as a warning",
    ),
)

FAULTS: Final[Mapping[str, tuple[Fault, ...]]] = {
    "Process": _PROCESS,
    "Database": _DATABASE,
    "Network": _NETWORK,
    "Provider": _PROVIDER,
    "Download": _DOWNLOAD,
    "Storage": _STORAGE,
    "Callbacks": _CALLBACKS,
    "Clock and configuration": _CLOCK,
    "Security": _SECURITY,
    "Replies, ranges and leases": _REPLIES,
}
