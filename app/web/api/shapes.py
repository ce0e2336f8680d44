"""What comes in and goes out as JSON: the shapes that bodies are held to and that the OpenAPI document is made of."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SkipValidation, StringConstraints

from app.domain.job import State

MOST_IN_BATCH: Final = 10_000
_LONGEST_KEY: Final = 255

# No control characters: the databases take no NUL, and names and keys end up in logs and headers.
Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=64)]
UniqueKey: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=_LONGEST_KEY, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Moment: TypeAlias = Annotated[
    str, Field(description="a time in UTC (RFC 3339)", json_schema_extra={"format": "date-time"})
]
JobNumber: TypeAlias = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Incoming(BaseModel):
    """What a caller sends: no other members, no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class NewJob(Incoming):
    """A job to be made: an operation under an account, with its parameters."""

    account: Annotated[Name, Field(description="a configured account")]
    operation: Annotated[Name, Field(description="one that the account's provider has")]
    params: Annotated[
        dict[str, SkipValidation[JsonValue]],  # it has been read as JSON; to look at each value again takes long
        Field(max_length=1000, description="what the operation takes: GET /v1/providers/{name} tells"),
    ] = {}
    unique_key: Annotated[
        UniqueKey | None,
        Field(description="names this wish within its account: asked for again, it is the job of the first time"),
    ] = None


class NewJobs(Incoming):
    """Jobs to be made, all of them or none."""

    jobs: Annotated[list[NewJob], Field(min_length=1, max_length=MOST_IN_BATCH)]


class AnyJobs(Incoming):
    """A batch whose jobs have not been looked at."""

    jobs: Annotated[list[Any], Field(min_length=1, max_length=MOST_IN_BATCH)]


class Adoption(Incoming):
    """The remote job that a parked job is to follow."""

    handle: Annotated[
        str, StringConstraints(min_length=1, max_length=4096), Field(description="the provider's name for it")
    ]


class PauseReason(Incoming):
    """Why an account is paused."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500), Field(description="for others to read")] = (
        "somebody paused it through the API"
    )


class Outgoing(BaseModel):
    """What is answered. Members may be added; no caller should mind one that it does not know."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class JobShape(Outgoing):
    """A job as it stands."""

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
    reason: Annotated[str | None, Field(description="why it is in this state, where a reason is known")]
    polls: int
    failures: Annotated[int, Field(description="consecutive failures in this state")]
    crashes: int
    submits: int
    resubmits: int
    fetches: int
    created_at: Moment
    due_at: Annotated[Moment | None, Field(description="when its next step is due; null for never")]
    deadline_at: Moment
    intent_at: Annotated[Moment | None, Field(description="when its last submit was decided, just before it was sent")]
    submitted_at: Moment | None
    moved_at: Annotated[Moment | None, Field(description="when the provider last reported something new")]
    ready_at: Moment | None
    landed_at: Moment | None
    finished_at: Moment | None


class JobPage(Outgoing):
    """Jobs, the newest first."""

    jobs: list[JobShape]
    next: Annotated[str | None, Field(description="the address of the next page; null on the last")]


class Receipt(Outgoing):
    """What became of one job of a batch."""

    id: JobNumber
    created: Annotated[bool, Field(description="false where its unique key was known: it is the job of the first time")]
    location: str


class Receipts(Outgoing):
    """What became of a batch, in its order."""

    jobs: list[Receipt]


class EntryShape(Outgoing):
    """One row of a job's history."""

    version: int
    at: Moment
    state_from: State | None
    state: State
    outcome: Annotated[str, Field(description="what the step learned, or what a person decided")]
    detail: str | None


class HistoryShape(Outgoing):
    """A job's history, oldest first. A poll that says no more than "not yet" writes no row."""

    history: list[EntryShape]


class ArtifactShape(Outgoing):
    """A landed file."""

    number: Annotated[int, Field(ge=0, description="in the order in which the provider listed them, from 0")]
    name: str
    label: Annotated[str, Field(description="what the provider called it")]
    key: Annotated[str, Field(description="its path below the storage's folder or URL")]
    size: Annotated[int, Field(ge=0, description="in bytes")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    media_type: str
    landed_at: Moment
    count: Annotated[int | None, Field(description="records in it, where that is known")]
    location: Annotated[str, Field(description="the address of its content")]


class ArtifactsShape(Outgoing):
    """The files that a job has landed, by number."""

    artifacts: list[ArtifactShape]


class ClosedLane(Outgoing):
    """A lane that asks nothing for a while: throttled, or its breaker is open."""

    shard: int
    reason: str | None
    until: Annotated[Moment | None, Field(description="null where nobody can say: a breaker tries now and then")]


class PauseShape(Outgoing):
    """Why and since when an account is paused."""

    by: Literal["credentials", "tls", "person"]
    reason: str
    at: Moment


class AccountShape(Outgoing):
    """How an account stands."""

    account: str
    provider: str
    pause: Annotated[PauseShape | None, Field(description="null where it is not paused")]
    closed: list[ClosedLane]
    jobs: Annotated[dict[str, int], Field(description="live and parked jobs by state; states without any left out")]


class AccountsShape(Outgoing):
    """The configured accounts, by name."""

    accounts: list[AccountShape]


class ResumedShape(AccountShape):
    """How an account stands after a pause."""

    paused_s: Annotated[float | None, Field(description="how long it was paused, in seconds; null where it was not")]
    opened: Annotated[list[ClosedLane], Field(description="the lanes that were closed until now")]


class ScheduleShape(Outgoing):
    """A recurring job."""

    name: str
    account: str
    operation: str
    cron: str
    timezone: str
    catch_up: Literal["skip", "last", "all"]
    params: Annotated[dict[str, JsonValue], Field(description="as configured, with their date templates")]
    next_at: Moment | None
    ticked_at: Annotated[Moment | None, Field(description="the last tick that was served")]
    job: Annotated[JobNumber | None, Field(description="the last tick's job")]


class SchedulesShape(Outgoing):
    """The configured schedules, by name."""

    schedules: list[ScheduleShape]


class OperationShape(Outgoing):
    """What a provider can be asked for."""

    title: str
    parameters: Annotated[dict[str, Any], Field(description="the JSON Schema (2020-12) of `params`")]


class ProviderShape(Outgoing):
    """A remote API, and what it can be asked for."""

    name: str
    title: str
    documentation: list[str]
    operations: dict[str, OperationShape]


class ProviderLine(Outgoing):
    """A remote API in short."""

    name: str
    title: str
    operations: list[str]
    accounts: Annotated[list[str], Field(description="those that are configured on it")]
    location: str


class ProvidersShape(Outgoing):
    """The remote APIs that there are, by name."""

    providers: list[ProviderLine]


class BacklogShape(Outgoing):
    """What is due in a lane."""

    lane: int
    due: Annotated[int, Field(description="how many jobs; 10,001 means more")]
    oldest_due_at: Moment | None


class MinuteShape(Outgoing):
    """What ended in one minute, and how long files took from ready to landed."""

    at: Moment
    ended: Annotated[dict[str, int], Field(description="jobs by their final state")]
    landing_p50_s: float | None
    landing_p95_s: float | None


class ArrivalShape(Outgoing):
    """A job that has landed its files lately."""

    job: JobNumber
    account: str
    operation: str
    finished_at: Moment | None
    files: int
    name: Annotated[str | None, Field(description="of the first file")]
    size: Annotated[int, Field(description="in bytes")]


class OverviewShape(Outgoing):
    """How everything stands; a second old at most, or twenty times as old as it takes to find out."""

    at: Moment
    jobs: Annotated[dict[str, int], Field(description="how many there are in each state")]
    lanes: list[BacklogShape]
    minutes: Annotated[list[MinuteShape], Field(description="the last hour, oldest first")]
    landed: Annotated[list[ArrivalShape], Field(description="the last ones, newest first")]


class NotificationShape(Outgoing):
    """What an endpoint is to be told, and what has come of it."""

    id: int
    endpoint: str
    message_id: str
    job: JobNumber
    account: str
    state: State
    at: Moment
    status: Literal["waiting", "delivered", "dead"]
    due_at: Moment | None
    attempts: int
    attempted_at: Moment | None
    last_error: str | None
    ended_at: Moment | None


class NotificationPage(Outgoing):
    """Notifications, the newest first."""

    notifications: list[NotificationShape]
    next: Annotated[str | None, Field(description="the address of the next page; null on the last")]


class RetriedShape(Outgoing):
    """Which notification is tried again."""

    id: int


class FaultShape(Outgoing):
    """What is wrong with one field."""

    detail: str
    pointer: Annotated[str | None, Field(description="where in the body it stands (RFC 6901)")] = None
    parameter: Annotated[str | None, Field(description="the parameter of the query, or the header, that it is")] = None


class ProblemShape(Outgoing):
    """A problem document (RFC 9457): what every error is answered with."""

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(description="one sentence for whoever asked")]
    errors: Annotated[list[FaultShape] | None, Field(description="every fault of single fields, up to 100")] = None


def body_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a shape by itself, for tests and for documents of its own."""
    return shape.model_json_schema(mode="serialization" if issubclass(shape, Outgoing) else "validation")
