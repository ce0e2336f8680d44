"""What can be changed about an emulated API while it runs: its variants, and the faults that it shows, and when."""

from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass
from email.utils import formatdate
from enum import StrEnum
from math import ceil
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter

STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class NoVariants:
    """For an API without variants."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


_Variants = TypeVar("_Variants", bound=Any)
_MEMBERS: Final[TypeAdapter[dict[str, object]]] = TypeAdapter(dict[str, object])


def changed(variants: _Variants, text: bytes) -> _Variants:
    """The variants, changed by the members of a JSON object.

    :raises ValueError: with every mistake at once.
    """
    adapter: TypeAdapter[_Variants] = TypeAdapter(type(variants))
    return adapter.validate_python(asdict(variants) | _MEMBERS.validate_json(text))


def variants_to_json(variants: object) -> bytes:
    """All members, as a JSON object."""
    return TypeAdapter(type(variants)).dump_json(variants)


ANY_ROUTE: Final = "*"


class FaultKind(StrEnum):
    """What goes wrong with one request.

    Every server shows the first group on every route. The second group concerns a remote job or its file, and applies
    only to routes of such a job; the third group concerns a session or a callback.
    """

    NONE = "none"  # a good reply: for healthy requests between faulty ones
    LATENCY = "latency"  # done at once, but the reply waits for `seconds`
    THROTTLE = "throttle"  # 429, not done, with `retry_after`
    UNAVAILABLE = "unavailable"  # `status` (default: 503) and an error page, not done, with `retry_after`
    HTML = "html"  # 200 and a page of HTML, not done
    UNAUTHORIZED = "unauthorized"  # 401, not done
    FORBIDDEN = "forbidden"  # 403, not done
    MISSING = "missing"  # 404, not done
    RESET_BEFORE = "reset_before"  # connection reset before the body was read, not done
    RESET_AFTER = "reset_after"  # done, then the connection is reset before any reply
    TRUNCATE = "truncate"  # connection closed after `size` bytes of a longer body (default: half of it)
    STALL = "stall"  # nothing more after `size` bytes (default: half), and the connection stays open
    TRICKLE = "trickle"  # `size` bytes (default: 16) every `seconds`
    MALFORMED = "malformed"  # JSON that breaks off, with the length and type of a good reply
    WRONG_TYPE = "wrong_type"  # the right body as `text` (default: text/html)
    WRONG_LENGTH = "wrong_length"  # Content-Length off by `size` (default: 10 too many; may be negative)
    GZIP_BOMB = "gzip_bomb"  # a gzip-encoded reply that unpacks to `size` bytes (default: 16 MiB)

    UNKNOWN_WORD = "unknown_word"  # the status is `text`, a word that no document names
    NEVER_ENDS = "never_ends"  # the job comes near its end and never ends
    GONE = "gone"  # the job, its result or its file no longer exists
    FLAPPING = "flapping"  # the status goes back and forth
    ERROR_STATUS = "error_status"  # the job ends in failure
    LINK_EXPIRED = "link_expired"  # the signed URL has already expired
    CHANGED = "changed"  # the file is another one from this request on
    IGNORE_RANGE = "ignore_range"  # 200 and the whole file, although a part was requested

    REVOKED = "revoked"  # the token of the request is invalid from now on
    LOST = "lost"  # the callback is never sent (one that is late shows `latency`)
    DUPLICATE = "duplicate"  # the callback is sent again after `seconds`
    FORGED = "forged"  # the callback's body is `text`, or names a job that does not exist


class RetryAfter(StrEnum):
    """The form of Retry-After in a refusal; ``seconds`` and ``date`` use the fault's ``seconds``."""

    ABSENT = "absent"
    SECONDS = "seconds"
    DATE = "date"
    PAST_DATE = "past_date"
    NEGATIVE = "negative"
    NONSENSE = "nonsense"
    NOT_ASCII = "not_ascii"
    HUGE = "huge"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One fault; its kind says what ``status``, ``seconds``, ``size`` and ``text`` mean."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: FaultKind
    status: Annotated[int, Field(ge=400, le=599)] = 503
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    size: int | None = None
    text: str | None = None
    retry_after: RetryAfter = RetryAfter.ABSENT

    def retry_after_at(self, now: float) -> str | None:
        """The value of the Retry-After header at that time (epoch seconds), or ``None`` for no header."""
        values = {
            RetryAfter.SECONDS: str(ceil(self.seconds)),
            RetryAfter.DATE: formatdate(now + self.seconds, usegmt=True),
            RetryAfter.PAST_DATE: formatdate(now - 3600, usegmt=True),
            RetryAfter.NEGATIVE: "-5",
            RetryAfter.NONSENSE: "in a while",
            RetryAfter.NOT_ASCII: "bientôt",
            RetryAfter.HUGE: "10000000000",
        }
        return values.get(self.retry_after)


HEALTHY: Final = InjectedFault(FaultKind.NONE)


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A fault for the next ``times`` requests of a route (``None``: for ever; route ``*``: any)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    route: str
    times: Annotated[int, Field(ge=1)] | None
    fault: InjectedFault


class FaultPlan:
    """Rules in order: each request takes the first rule for its route, and uses it once."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self._rules = list(rules)

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """The rules that are left."""
        return tuple(self._rules)

    def add(self, route: str, fault: InjectedFault, times: int | None = 1) -> None:
        """Append one rule."""
        self._rules.append(FaultRule(route, times, fault))

    def extend(self, rules: Iterable[FaultRule]) -> None:
        """Append several rules."""
        self._rules.extend(rules)

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def take(self, route: str) -> InjectedFault:
        """The fault for the next request of that route; ``HEALTHY`` if no rule applies."""
        return self._take({route, ANY_ROUTE})

    def take_named(self, name: str) -> InjectedFault:
        """The same for a callback: rules for any route do not apply to it."""
        return self._take({name})

    def _take(self, routes: Container[str]) -> InjectedFault:
        for place, rule in enumerate(self._rules):
            if rule.route not in routes:
                continue
            if rule.times == 1:
                del self._rules[place]
            elif rule.times is not None:
                self._rules[place] = FaultRule(rule.route, rule.times - 1, rule.fault)
            return rule.fault
        return HEALTHY


_RULES: TypeAdapter[list[FaultRule]] = TypeAdapter(list[FaultRule])


def rules_from_json(text: bytes) -> list[FaultRule]:
    """Read ``[{"route": …, "times": …, "fault": {"kind": …, …}}, …]``.

    :raises ValueError: with every mistake at once.
    """
    return _RULES.validate_json(text)


def rules_to_json(rules: Iterable[FaultRule]) -> bytes:
    """The inverse of :func:`rules_from_json`."""
    return _RULES.dump_json(list(rules))
