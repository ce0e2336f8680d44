"""The compiled operation: everything that the interpreter needs of a spec and an account for one operation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol

from tidewaiter.domain.backoff_and_limits import USUAL_BOUNDS, Bounds, OperationPolicy
from tidewaiter.domain.http_values import Json, WireReply, field_values
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Inline
from tidewaiter.domain.own_origins import OwnOrigins
from tidewaiter.providers.credentials.own_credentials import OwnCredentials
from tidewaiter.providers.replies.messages import Messages
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_rules import Rules, RuleVerdict
from tidewaiter.providers.replies.xml_replies import XmlForm
from tidewaiter.providers.results.result_files import Results
from tidewaiter.providers.results.result_sharing import Sharing
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.providers.steps.compiled_steps import PollStep, Steps, SubmitStep

_JSON: Final = "application/json"


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


class ReadsReply(Protocol):
    """A compiled step that says how the bodies of its replies are read."""

    @property
    def xml(self) -> XmlForm | None:
        """How XML is read; ``None`` for JSON."""


@dataclass(frozen=True, slots=True)
class AccountParts:
    """The common parts of all operations of an account.

    ``origin`` has the provider's own; ``messages`` writes reasons for people; ``bounds`` limits what is read from the
    provider; ``own`` removes the account's credentials from addresses.
    """

    origin: OwnOrigins
    messages: Messages = field(repr=False)
    bounds: Bounds = USUAL_BOUNDS
    own: OwnCredentials = field(default_factory=OwnCredentials, repr=False)


@dataclass(frozen=True, slots=True)
class CompiledOperation:
    """An operation of a spec, compiled for one account. A provider in Python passes it on and looks at ``name``."""

    name: str
    policy: OperationPolicy
    spec: OperationSpec = field(repr=False)
    steps: Steps = field(repr=False)
    account: AccountParts
    sharing: Sharing | None = None

    def reading(self, reply: WireReply, step: ReadsReply | None) -> Reading:
        """A reply to a step, ready for rules and expressions."""
        return Reading(reply, self.account.bounds.most_values, None if step is None else step.xml)

    def judged(self, rules: Rules, reading: Reading) -> RuleVerdict | None:
        """The verdict of the rules on a reply; its word is safe to show and to store."""
        verdict = rules.judge(reading)
        if verdict is None or verdict.word is None:
            return verdict
        word = self.account.messages.note(verdict.word)
        return verdict if word == verdict.word else replace(verdict, word=word)

    def handle(self, job: Job, step: SubmitStep | PollStep, reading: Reading) -> str | None:
        """The handle in a reply, without the account's credentials; ``None`` if the reply has none.

        A handle that was stored with credentials is replaced by the same one without them.
        """
        own, given = self.account.own, step.handle(reading)
        if given is not None or job.handle is None:
            return None if given is None else own.without(given)
        kept = own.without(job.handle)
        return None if kept == job.handle else kept

    def inline(
        self,
        job: Job,
        results: Results,
        reading: Reading,
        word: str | None,
        handle: str | None,
        *,
        certain: bool,
        kept: Mapping[str, str] = MappingProxyType({}),
    ) -> Inline:
        """The outcome of a reply that is the file itself, or whose head is the file."""
        label = results.label(job) or self.name
        if results.is_head:
            return Inline(label, _JSON, word, handle, head_of(reading), certain, kept)
        media_type = reading.headers.get("content-type") or self.spec.media_type or _kind_of(reading)
        return Inline(label, media_type, word, handle, certain=certain, kept=kept)


def _kind_of(reading: Reading) -> str | None:
    """The media type of a reply that does not name it, if it is JSON."""
    return _JSON if isinstance(reading.document(), dict | list) and not reading.malformed else None
