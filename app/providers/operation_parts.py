"""What a bound operation is made of: the parts that its account shares, its own compiled steps, and common readings."""

from dataclasses import dataclass, field, replace

from app.domain.bounds import USUAL, Bounds
from app.domain.job import Job
from app.domain.outcome import Inline
from app.domain.schedule import Policy
from app.domain.wire import WireReply
from app.providers.heads import head_of
from app.providers.messages import Messages
from app.providers.operation import Poll, Steps, Submit
from app.providers.own import OwnCredentials
from app.providers.reading import Reading
from app.providers.results import Results
from app.providers.rules import Rules, Verdict
from app.providers.sharing import Sharing
from app.providers.spec.provider import OperationSpec


@dataclass(frozen=True, slots=True)
class AccountParts:
    """What all operations of an account have in common.

    ``origin`` is the provider's own; ``messages`` words what a person reads; ``bounds`` limits how much of what the
    provider sends is read; ``own`` takes the account's credentials out of addresses.
    """

    origin: str
    messages: Messages = field(repr=False)
    bounds: Bounds = USUAL
    own: OwnCredentials = field(default_factory=OwnCredentials, repr=False)


@dataclass(frozen=True, slots=True)
class OperationParts:
    """An operation of a spec, compiled for one account. A provider in Python passes it on and looks at ``name``."""

    name: str
    policy: Policy
    spec: OperationSpec = field(repr=False)
    steps: Steps = field(repr=False)
    account: AccountParts
    sharing: Sharing | None = None

    def reading(self, reply: WireReply) -> Reading:
        """A reply, ready for rules and expressions."""
        return Reading(reply, self.account.bounds.most_values)

    def judged(self, rules: Rules, reading: Reading) -> Verdict | None:
        """What the rules say about a reply; its word is safe to show and to store."""
        verdict = rules.judge(reading)
        if verdict is None or verdict.word is None:
            return verdict
        return replace(verdict, word=self.account.messages.note(verdict.word))

    def handle(self, job: Job, step: Submit | Poll, reading: Reading) -> str | None:
        """The handle in a reply, without credentials of ours; ``None`` where the reply has none.

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
        if results.head:
            return Inline(label, "application/json", word, handle, head_of(reading), certain)
        media_type = reading.headers.get("content-type") or self.spec.media_type
        return Inline(label, media_type, word, handle, certain=certain)
