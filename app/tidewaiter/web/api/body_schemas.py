"""The shapes of JSON bodies: requests are checked against them, and the OpenAPI document is made of them."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SkipValidation, StringConstraints

from tidewaiter.domain.batch import BATCH_NAME
from tidewaiter.domain.job import State
from tidewaiter.domain.job_labels import LABEL_NAME, LABEL_VALUE, MOST_LABELS

MOST_IN_BATCH: Final = 10_000
_LONGEST_KEY: Final = 255

# No control characters: databases cannot store NUL, and names and keys appear in logs and headers.
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=64)]
UniqueKey: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=_LONGEST_KEY, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Moment: TypeAlias = Annotated[
    str, Field(description="a time in UTC (RFC 3339)", json_schema_extra={"format": "date-time"})
]
JobNumber: TypeAlias = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Incoming(BaseModel):
    """A body that a caller sends: no unknown members, no text in place of a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


BatchName: TypeAlias = Annotated[
    str | None,  # the service checks it
    Field(
        description="the name of the batch that it joins; the batch is made with its first job",
        json_schema_extra={"anyOf": [{"type": "string", "pattern": BATCH_NAME}, {"type": "null"}]},
    ),
]


Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Labels: TypeAlias = Annotated[
    dict[str, str],  # the service checks each of them
    Field(
        max_length=MOST_LABELS,
        description="names and values of your own, such as the DAG; jobs are found by them",
        json_schema_extra={
            "propertyNames": {"pattern": LABEL_NAME},
            "additionalProperties": {"type": "string", "pattern": LABEL_VALUE},
        },
    ),
]


class NewJobBody(Incoming):
    """A job to submit: an operation of an account, with its parameters."""

    account: Annotated[Name, Field(description="a configured account")]
    operation: Annotated[Name, Field(description="one that the account's provider has")]
    params: Annotated[
        dict[str, SkipValidation[JsonValue]],  # it was parsed as JSON; checking each value again takes long
        Field(max_length=1000, description="the parameters of the operation: see GET /v1/providers/{name}"),
    ] = {}
    unique_key: Annotated[
        UniqueKey | None,
        Field(description="identifies this request within its account: if repeated, it returns the first job"),
    ] = None
    batch: BatchName = None
    labels: Labels = {}


class NewJobs(Incoming):
    """Jobs to submit, all or none."""

    batch: BatchName = None
    jobs: Annotated[list[NewJobBody], Field(min_length=1, max_length=MOST_IN_BATCH)]


class AnyJobs(Incoming):
    """A batch whose jobs are not checked yet."""

    batch: BatchName = None
    jobs: Annotated[list[Any], Field(min_length=1, max_length=MOST_IN_BATCH)]


class AdoptionBody(Incoming):
    """The remote job that a parked job should follow."""

    handle: Annotated[
        str, StringConstraints(min_length=1, max_length=4096), Field(description="the provider's name for it")
    ]
    kept: Annotated[dict[str, str], Field(description="values that the lost reply would have had")] = {}


class GivenReason(Incoming):
    """Why something is paused; without it, an existing pause keeps its reason."""

    reason: Annotated[
        str | None, StringConstraints(min_length=1, max_length=500), Field(description="for others to read")
    ] = None


class PauseReason(GivenReason):
    """Why an account is paused."""


class Outgoing(BaseModel):
    """A body that is returned. Members may be added; callers should ignore unknown ones."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class JobShape(Outgoing):
    """The state of a job."""

    id: JobNumber
    account: str
    operation: str
    params: dict[str, JsonValue]
    state: State
    version: Annotated[int, Field(description="rises with every change")]
    lane: Annotated[int, Field(description="the lane that serves it: see the overview")]
    unique_key: str | None
    retry_of: Annotated[JobNumber | None, Field(description="the job that this one repeats")]
    cancel_requested: bool
    handle: Annotated[
        str | None, Field(description="the provider's name for the remote job; of an address without its query")
    ]
    shared: Annotated[bool, Field(description="whether it follows a remote job together with other jobs")]
    remote_status: Annotated[str | None, Field(description="the provider's last word for its status")]
    progress: Annotated[str | None, Field(description="as the provider reports it")]
    reason: Annotated[str | None, Field(description="why it is in this state, if a reason is known")]
    polls: int
    failures: Annotated[int, Field(description="consecutive failures in this state")]
    crashes: int
    submits: int
    resubmits: Annotated[int, Field(description="submits made because the remote job was gone")]
    agains: Annotated[int, Field(description="submits made because the provider failed it for a passing reason")]
    fetches: int
    files_listed: Annotated[
        int | None, Field(description="files in the provider's list so far; null if unknown, or if all have landed")
    ]
    created_at: Moment
    due_at: Annotated[Moment | None, Field(description="when its next step is due; null for never")]
    deadline_at: Moment
    intent_at: Annotated[Moment | None, Field(description="when its last submit was decided, just before it was sent")]
    submitted_at: Moment | None
    moved_at: Annotated[Moment | None, Field(description="when the provider last reported something new")]
    ready_at: Moment | None
    landed_at: Moment | None
    finished_at: Moment | None
    handled_at: Annotated[Moment | None, Field(description="when a person acknowledged or retried this failure")]
    handled_by: Annotated[str | None, Field(description="who did: the name of the token, or of the system's user")]
    retried_as: Annotated[JobNumber | None, Field(description="the job that repeats this one")]
    former_key: Annotated[
        str | None, Field(description="the unique key of this job until the job that repeats it took the key over")
    ]
    cause: Annotated[
        str | None, Field(description="the reason of a failure without what differs from job to job, to count them by")
    ]
    requested_by: Annotated[str | None, Field(description="the name of the token, or of the system's user")]
    schedule: Annotated[str | None, Field(description="the schedule that this job is a run of")]
    scheduled_for: Annotated[Moment | None, Field(description="the tick of the schedule; null for a run by hand")]
    batch: Annotated[str | None, Field(description="the batch that it belongs to")]
    labels: dict[str, str]
    traceparent: Annotated[str | None, Field(description="the caller's trace (W3C Trace Context)")]
    stage: Annotated[
        str | None,
        Field(description="the request that is next, or under way, of several that make and start the remote job"),
    ]
    kept: Annotated[dict[str, str], Field(description="values of the provider's replies that the requests after need")]


class JobPage(Outgoing):
    """Jobs, the newest first."""

    jobs: list[JobShape]
    next: Annotated[str | None, Field(description="the address of the next page; null on the last")]


class Receipt(Outgoing):
    """The result for one job of a batch."""

    id: JobNumber
    created: Annotated[bool, Field(description="false if its unique key was known: then it is the first job")]
    location: str


class Receipts(Outgoing):
    """The results of a batch, in its order."""

    jobs: list[Receipt]


class EntryShape(Outgoing):
    """One row of a job's history."""

    version: int
    at: Moment
    state_from: State | None
    state: State
    outcome: Annotated[str, Field(description="the outcome of the step, or the decision of a person")]
    detail: str | None


class HistoryShape(Outgoing):
    """The history of a job, oldest first. A poll whose reply is only "not yet" writes no row."""

    history: list[EntryShape]


class ArtifactShape(Outgoing):
    """A landed file."""

    number: Annotated[int, Field(ge=0, description="in the order of the provider's list, from 0")]
    name: str
    label: Annotated[str, Field(description="the provider's name for it")]
    key: Annotated[str, Field(description="its path below the storage's folder or URL")]
    size: Annotated[int, Field(ge=0, description="in bytes")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    media_type: str
    landed_at: Moment
    count: Annotated[int | None, Field(description="the number of records, if known")]
    location: Annotated[str, Field(description="the address of its content")]


class ArtifactsShape(Outgoing):
    """A page of the files that a job has landed, by number."""

    artifacts: list[ArtifactShape]
    next: Annotated[str | None, Field(description="the address of the next page; null on the last")] = None


class ClosedLane(Outgoing):
    """A lane that sends no requests for a while: it is throttled, or its circuit breaker is open."""

    lane: Annotated[int, Field(description="its number, as in jobs, the log and metrics")]
    shard: Annotated[int, Field(description="its place among the lanes of the account, from 0")]
    reason: str | None
    until: Annotated[Moment | None, Field(description="null if unknown: a circuit breaker tests from time to time")]


class PauseShape(Outgoing):
    """Why and since when an account is paused."""

    by: Literal["credentials", "tls", "person"]
    reason: str
    at: Moment


class AccountShape(Outgoing):
    """The status of an account."""

    account: str
    provider: Annotated[str | None, Field(description="null if its spec has a fault")]
    pause: Annotated[PauseShape | None, Field(description="null if it is not paused")]
    closed: list[ClosedLane]
    jobs: Annotated[dict[str, int], Field(description="live and parked jobs by state, without states that have none")]
    refresh_token_at: Annotated[Moment | None, Field(description="since when its refresh token is stored, or null")]
    fault: Annotated[str | None, Field(description="why no daemon serves it: a fault of its spec; null if it has none")]


class AccountsShape(Outgoing):
    """The configured accounts, by name."""

    accounts: list[AccountShape]


class ResumedShape(AccountShape):
    """The status of an account after a pause."""

    paused_s: Annotated[float | None, Field(description="how long it was paused, in seconds; null if it was not")]
    opened: Annotated[list[ClosedLane], Field(description="the lanes that were closed until now")]
    tries_refresh_token: Annotated[
        bool, Field(description="whether a refresh token that may have been used is tried with the next login")
    ]


class BacklogShape(Outgoing):
    """What is due in a lane."""

    lane: int
    due: Annotated[int, Field(description="how many jobs; 10,001 means more")]
    oldest_due_at: Annotated[Moment | None, Field(description="since when the first waits; downloads under way do not")]


class MinuteShape(Outgoing):
    """What ended in one minute, and how long files took from ready to landed."""

    at: Moment
    ended: Annotated[dict[str, int], Field(description="jobs by their final state")]
    landing_p50_s: float | None
    landing_p95_s: float | None


class ArrivalShape(Outgoing):
    """A job whose files landed recently."""

    job: JobNumber
    account: str
    operation: str
    finished_at: Moment | None
    files: int
    name: Annotated[str | None, Field(description="of the first file")]
    size: Annotated[int, Field(description="in bytes")]


class FailureGroupShape(Outgoing):
    """Unhandled failures of one cause."""

    account: str
    operation: str
    cause: Annotated[str | None, Field(description="the reason without what differs from job to job")]
    jobs: Annotated[int, Field(description="how many; the newest 10,000 failures are counted")]
    reason: Annotated[str | None, Field(description="the reason of the newest")]
    first_at: Moment | None
    last_at: Moment | None
    examples: Annotated[list[JobNumber], Field(description="the newest job and the oldest")]
    trouble: Annotated[str | None, Field(description="what is wrong with the account or the storage now")]
    advice: Annotated[str, Field(description="what to do")]
    remedies: Annotated[list[str], Field(description="the possible actions, the safest first")]


class OverviewShape(Outgoing):
    """The status of everything; at most a second old, or twenty times as old as the query takes."""

    at: Moment
    jobs: Annotated[dict[str, int], Field(description="the number of jobs in each state")]
    lanes: list[BacklogShape]
    minutes: Annotated[list[MinuteShape], Field(description="the last hour, oldest first")]
    landed: Annotated[list[ArrivalShape], Field(description="the last ones, newest first")]
    unhandled: Annotated[list[FailureGroupShape], Field(description="unhandled failures by cause, newest first")]


class NotificationShape(Outgoing):
    """A notification for an endpoint, and the status of its delivery."""

    id: int
    endpoint: str
    message_id: str
    job: Annotated[JobNumber | None, Field(description="of a batch: the last job that ended; null if it has none")]
    account: str
    state: State
    at: Moment
    status: Literal["waiting", "delivered", "dead"]
    due_at: Moment | None
    attempts: int
    attempted_at: Moment | None
    last_error: str | None
    ended_at: Moment | None
    batch: Annotated[str | None, Field(description="the batch that has ended; null if it is about a job")]


class NotificationPage(Outgoing):
    """Notifications, the newest first."""

    notifications: list[NotificationShape]
    next: Annotated[str | None, Field(description="the address of the next page; null on the last")]


class RetryNotificationsBody(Incoming):
    """Which notifications to deliver again."""

    status: Annotated[
        tuple[Literal["dead", "waiting"], ...],
        Field(min_length=1, max_length=2, strict=False, description="those that are dead, those that wait, or both"),
    ]
    endpoint: Annotated[Text | None, Field(description="only those to this endpoint")] = None


class RetriedCount(Outgoing):
    """How many notifications are delivered again."""

    count: int


class RetriedShape(Outgoing):
    """The notification that is delivered again."""

    id: int


class FaultShape(Outgoing):
    """A fault of one field."""

    detail: str
    pointer: Annotated[str | None, Field(description="its place in the body (RFC 6901)")] = None
    parameter: Annotated[str | None, Field(description="the query parameter or header")] = None


class ProblemShape(Outgoing):
    """A problem document (RFC 9457): the body of every error."""

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(description="one sentence for the caller")]
    errors: Annotated[list[FaultShape] | None, Field(description="the faults of single fields, up to 100")] = None
