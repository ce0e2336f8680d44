"""The parts of a bound operation: those that the account's operations share, its steps, and common readings."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.http_values import Json, WireReply, field_values
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Inline
from tidewaiter.domain.permissions import USUAL_BOUNDS, Bounds
from tidewaiter.providers.account_credentials import OwnCredentials
from tidewaiter.providers.compiled_steps import Poll, Steps, Submit
from tidewaiter.providers.messages import Messages
from tidewaiter.providers.reply import Reading
from tidewaiter.providers.reply_rules import Rules, RuleVerdict
from tidewaiter.providers.result_files import Results
from tidewaiter.providers.spec.provider_spec import AnswersSpec, OperationSpec


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the jobs of an operation share results.

    A provider that renews its data every ``fresh_s`` seconds gives the same result until then. So a job may use any
    result that was requested at most ``fresh_s`` seconds before the job was made, or later. A job whose parameter
    ``newer`` is true uses no older data: it waits ``fresh_s``, and uses only results that were requested after that.
    """

    fresh_s: float
    newer: str | None

    def key(self, params: Mapping[str, Json]) -> str:
        """A key that is the same for jobs of one operation that may share a result."""
        shared = {name: value for name, value in params.items() if name != self.newer}
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()

    def wait_s(self, params: Mapping[str, Json]) -> float:
        """How long a new job waits before its request."""
        return self.fresh_s if self._asks_for_newer(params) else 0.0

    def since(self, job: Job) -> float:
        """The job may use a result that was requested at this epoch second or later."""
        return job.created_at + (self.fresh_s if self._asks_for_newer(job.params) else -self.fresh_s)

    def _asks_for_newer(self, params: Mapping[str, Json]) -> bool:
        return self.newer is not None and params.get(self.newer) is True


def sharing_of(spec: AnswersSpec | None) -> Sharing | None:
    """The compiled form of ``answers``; ``None`` if jobs share nothing."""
    return None if spec is None else Sharing(spec.fresh_s, spec.newer)


def head_of(reading: Reading) -> bytes:
    """The status code, the reason phrase and the header fields of a reply, as a JSON object in UTF-8.

    Names of fields are unchanged. A field that came once is a text; a repeated field is an array of texts, in their
    order. The address of the reply is left out, because its query may contain credentials.
    """
    fields: dict[str, Json] = {}
    seen: set[str] = set()
    for name in reading.headers:
        if (folded := name.lower()) not in seen:
            seen.add(folded)
            values = field_values(reading.headers, folded)
            fields[name] = values[0] if len(values) == 1 else list(values)
    return json.dumps({"status": reading.status, "reason": reading.phrase, "headers": fields}, indent=2).encode("ascii")


@dataclass(frozen=True, slots=True)
class AccountParts:
    """The common parts of all operations of an account.

    ``origin`` is the provider's own; ``messages`` writes reasons for people; ``bounds`` limits what is read from the
    provider; ``own`` removes the account's credentials from addresses.
    """

    origin: str
    messages: Messages = field(repr=False)
    bounds: Bounds = USUAL_BOUNDS
    own: OwnCredentials = field(default_factory=OwnCredentials, repr=False)


@dataclass(frozen=True, slots=True)
class OperationParts:
    """An operation of a spec, compiled for one account. A provider in Python passes it on and looks at ``name``."""

    name: str
    policy: OperationPolicy
    spec: OperationSpec = field(repr=False)
    steps: Steps = field(repr=False)
    account: AccountParts
    sharing: Sharing | None = None

    def reading(self, reply: WireReply) -> Reading:
        """A reply, ready for rules and expressions."""
        return Reading(reply, self.account.bounds.most_values)

    def judged(self, rules: Rules, reading: Reading) -> RuleVerdict | None:
        """The verdict of the rules on a reply; its word is safe to show and to store."""
        verdict = rules.judge(reading)
        if verdict is None or verdict.word is None:
            return verdict
        return replace(verdict, word=self.account.messages.note(verdict.word))

    def handle(self, job: Job, step: Submit | Poll, reading: Reading) -> str | None:
        """The handle in a reply, without the account's credentials; ``None`` if the reply has none.

        A handle that was stored with credentials is replaced by the same one without them.
        """
        own, given = self.account.own, step.handle(reading)
        if given is not None or job.handle is None:
            return None if given is None else own.without(given)
        kept = own.without(job.handle)
        return None if kept == job.handle else kept

    def inline(
        self, job: Job, results: Results, reading: Reading, word: str | None, handle: str | None, *, certain: bool
    ) -> Inline:
        """The outcome of a reply that is the file itself, or whose head is the file."""
        label = results.label(job) or self.name
        if not results.is_body:
            return Inline(label, "application/json", word, handle, head_of(reading), certain)
        media_type = reading.headers.get("content-type") or self.spec.media_type
        return Inline(label, media_type, word, handle, certain=certain)
