"""Values that a job keeps of replies, for the requests after them: read, checked and bounded."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.providers.credentials.own_credentials import OwnCredentials
from tidewaiter.providers.replies.extract import Pick, compile_pick
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.spec.field_types import KeepSpec
from tidewaiter.providers.values.addresses import url_fault
from tidewaiter.providers.values.texts import as_text, as_url

_LONGEST: Final = 2048
_MOST_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Kept:
    """The values in a reply.

    ``lacking`` says which value the reply lacks although it is not optional; ``fault`` says why a value cannot be kept.
    Both are the beginning of a sentence for people, without the value.
    """

    values: dict[str, str] = field(default_factory=dict)
    lacking: str | None = None
    fault: str | None = None

    @property
    def problem(self) -> str | None:
        """Why a reply that must have every value cannot be used; ``None`` if it can."""
        return self.fault or self.lacking


_NOTHING: Final = Kept()


@dataclass(frozen=True, slots=True)
class KeptValues:
    """A compiled ``keep`` table: for each name the place of its value, and whether the value is optional.

    ``urls`` are the names of those that are requested: they are made absolute at once, while their base is known.
    """

    picks: tuple[tuple[str, Pick, bool], ...] = ()
    urls: frozenset[str] = frozenset()
    base_url: str = ""

    def read(self, job: Job, reading: Reading, own: OwnCredentials) -> Kept:
        """The values in a reply. Those that the job has from an earlier reply are not lacking."""
        if not self.picks:
            return _NOTHING
        found = [(name, pick(reading), optional) for name, pick, optional in self.picks]
        if not self.urls:
            return read_values(job, found, own)
        base = reading.url or f"{self.base_url}/"
        for name, value, _ in found:
            if name in self.urls and value is not None and as_url(value, base) is None:
                why = url_fault(base, value) if isinstance(value, str) else "it is no text"
                return Kept(fault=f"the value for keep.{name} is no URL that can be requested, {why}")
        absolute = [(name, as_url(value, base) if name in self.urls else value, may) for name, value, may in found]
        return read_values(job, absolute, own)

    def given(self, job: Job, values: Mapping[str, str], own: OwnCredentials) -> dict[str, str] | str:
        """The values that a person gives in place of a lost reply, or why they cannot be used."""
        known = [name for name, _, _ in self.picks]
        others = sorted(set(values) - set(known))
        if others:
            return f"no reply would have had {', '.join(others)} (it would have: {', '.join(known) or 'none'})"
        found = [(name, values.get(name), optional) for name, _, optional in self.picks]
        kept = read_values(job, found, own)
        lacking = [name for name, value, optional in found if value is None and not optional and name not in job.kept]
        if lacking:
            return f"the lost reply would have had {', '.join(lacking)}, which later requests need: give the values"
        return kept.fault or kept.values


def read_values(job: Job, found: Iterable[tuple[str, Json, bool]], own: OwnCredentials) -> Kept:
    """Values that were found, checked: for each its name, the value or ``None``, and whether it may be missing."""
    values: dict[str, str] = {}
    lacking: list[str] = []
    for name, value, optional in found:
        if value is None:
            if not optional and name not in job.kept:
                lacking.append(f"keep.{name}")
            continue
        text = _kept_text(value, own)
        if isinstance(text, _Fault):
            return Kept(fault=f"the value for keep.{name} {text.reason}")
        values[name] = text
    size = _bytes_of({**job.kept, **values})
    if size > _MOST_BYTES:
        return Kept(fault=f"the kept values have {size} bytes, and {_MOST_BYTES} are permitted")
    return Kept(values, f"the reply has no value for {' and '.join(lacking)}" if lacking else None)


NOTHING_KEPT: Final = KeptValues()


def compile_keep(specs: Mapping[str, KeepSpec], urls: Collection[str] = (), base_url: str = "") -> KeptValues:
    """The compiled form of a ``keep`` table.

    Args:
        specs: the table.
        urls: the names of kept values that begin URLs.
        base_url: the base of relative ones, if the reply's address is not known.
    """
    picks = tuple((name, compile_pick((one,)), one.optional) for name, one in specs.items())
    return KeptValues(picks, frozenset(urls) & specs.keys(), base_url)


@dataclass(frozen=True, slots=True)
class _Fault:
    reason: str


def _kept_text(value: Json, own: OwnCredentials) -> str | _Fault:
    text = as_text(value)
    if text is None:
        return _Fault("is neither a text nor a number: name a single value in it")
    text = text.strip()
    if len(text) > _LONGEST:
        return _Fault(f"has {len(text)} characters, and {_LONGEST} are permitted")
    if not text.isprintable():
        return _Fault("has control characters")
    clean = own.without(text)
    return _Fault("contains a credential of the account") if own.occur_in(clean) else clean


def _bytes_of(values: Mapping[str, Json]) -> int:
    return sum(len(f"{name}{value}".encode("utf-8", "replace")) for name, value in values.items())
