"""Which kept values a place in a spec may refer to: those of the steps that come before it.

An operation sends its requests in a fixed order, so a value can never depend on itself. As in the other checks of
references, the parsed TOML is used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tidewaiter.patterns import compile_pattern
from tidewaiter.providers.spec.field_types import HANDLE_IS, KEPT
from tidewaiter.providers.values.template import references_in

Tree: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeptBefore:
    """The kept values at a place: ``known`` says of each whether it is always there; ``later`` names who keeps it."""

    known: Mapping[str, bool] = field(default_factory=dict)
    later: Mapping[str, str] = field(default_factory=dict)

    def reason_against(self, name: str, *, required: bool) -> str | None:
        """Why a reference to a kept value is not permitted here; ``None`` if it is."""
        shown = f"${{kept.{name}}}"
        if name not in self.known:
            if name in self.later:
                return f"refers to {shown}, which only {self.later[name]} keeps, and that comes later"
            return f"refers to {shown}, but no step before this one keeps it (they keep: {_named(self.known)})"
        if required and not self.known[name]:
            return f"refers to {shown}, which may be missing; here it must not be"
        return None

    def condition_faults(self, name: str, value: object, *, handle: bool) -> Iterator[tuple[str, str]]:
        """The faults of the conditions ``kept`` or ``handle`` of a ``when``, each with its key below the ``when``.

        Args:
            name: which of the two.
            value: the condition.
            handle: whether there is a handle here.
        """
        if name == HANDLE_IS:
            reason = _pattern_fault(value) if handle else "no submit before this step has named a handle"
            yield from ((name, reason),) if reason else ()
        elif not isinstance(value, Mapping):
            yield name, "must be a table: the names of kept values, and what they must be"
        else:
            for inner, expected in value.items():
                if inner not in self.known:
                    yield f"{name}.{inner}", f"no step before this one keeps it (they keep: {_named(self.known)})"
                elif not isinstance(expected, str | int):
                    yield f"{name}.{inner}", "must be a text, a whole number or a boolean, which the value must equal"

    def with_own(self, variant: Tree) -> "KeptBefore":
        """The same after the reply to this variant was read."""
        return KeptBefore({**self.known, **_kept_by(variant)}, self.later)

    def where(self, when: Tree) -> "KeptBefore":
        """The same for a variant that is used only if these values are there."""
        named = when.get(KEPT)
        there = {name: True for name in named if name in self.known} if isinstance(named, Mapping) else {}
        return KeptBefore({**self.known, **there}, self.later)


NOTHING: Final = KeptBefore()
_ABOUT_REMOTE_JOB: Final = ("poll", "results", "cancel", "cleanup")


def kept_before(operation: Tree, step: str, number: int = 0) -> KeptBefore:
    """The values that are kept when a step of an operation builds its request.

    Args:
        operation: its table.
        step: the key of the step.
        number: which of several steps with this key, for ``before`` and ``start``.
    """
    # A job is cancelled before its files have landed, so before the values of a link are kept.
    chain = [one for one in _chain(operation) if (step, one[0]) != ("cancel", "results")]
    wanted = (step, number if step in ("before", "start") else 0)
    places = [(key, at) for key, at, _ in chain]
    sought = ("submit", 0) if step == "adopt" else wanted
    end = places.index(sought) if sought in places else len(chain)
    end = 0 if step == "reuse" else end  # it comes before all of them
    known: dict[str, bool] = {}
    for key, _, kept in chain[:end]:
        # A job may be cancelled before its last poll, or between two requests that start the remote job.
        may_lack = step == "cancel" and key in ("start", "poll")
        for name, sure in kept.items():
            known[name] = known.get(name, False) or (sure and not may_lack)
    if step == "poll":  # the polls before this one
        known = {**dict.fromkeys(_all_of(chain, "poll"), False), **known}
    later = {name: key for key, _, kept in reversed(chain[end:]) for name in kept if name not in known}
    return KeptBefore(known, later)


def adopt_faults(operation: Tree, key: str) -> Iterator[tuple[str, str]]:
    """The values that an adopted remote job would lack, although requests after the submit may need them."""
    needed = {name for one, _, kept in _chain(operation) if one == "submit" for name, sure in kept.items() if sure}
    for at, adopt in tables(operation.get("adopt"), f"{key}.adopt"):
        keep = adopt.get("keep")
        lacking = sorted(needed - set(keep if isinstance(keep, Mapping) else ()))
        if lacking:
            yield (
                f"{at}.keep",
                f"must have {', '.join(lacking)}, which submit keeps: an adopted remote job has no reply to a submit",
            )


def reuse_kept_faults(operation: Tree, key: str) -> Iterator[tuple[str, str]]:
    """The values that a reused remote job would lack, although requests about it refer to them."""
    used = {name for step in _ABOUT_REMOTE_JOB for name in _used_in(operation.get(step))}
    kept = {name for step, _, values in _chain(operation) if step not in ("poll", "results") for name in values}
    for at, reuse in tables(operation.get("reuse"), f"{key}.reuse"):
        keep = reuse.get("keep")
        lacking = sorted((used & kept) - set(keep if isinstance(keep, Mapping) else ()))
        if lacking:
            yield (
                f"{at}.keep",
                f"must have {', '.join(lacking)}, which requests about the remote job refer to: a job that reuses one "
                "has sent none of the requests that keep it",
            )


def _used_in(tree: Any) -> Iterator[str]:
    """The kept values to which templates and conditions in a tree refer."""
    if isinstance(tree, str):
        yield from (one.name for one in references_in(tree) if one.scope == "kept")
    elif isinstance(tree, Mapping):
        when = tree.get("when")
        named = when.get(KEPT) if isinstance(when, Mapping) else None
        yield from named if isinstance(named, Mapping) else ()
        for one in tree.values():
            yield from _used_in(one)
    elif isinstance(tree, list):
        for one in tree:
            yield from _used_in(one)


def name_faults(operation: Tree, key: str) -> Iterator[tuple[str, str]]:
    """The names of ``before`` and ``start`` that are not unique, or are that of the submit."""
    seen: set[str] = {"submit"}
    for step in ("before", "start"):
        for at, one in tables(operation.get(step), f"{key}.{step}"):
            name = one.get("name")
            if isinstance(name, str) and name in seen:
                yield f"{at}.name", f"{name!r} is the name of another step: give each step of an operation its own"
            elif isinstance(name, str):
                seen.add(name)


def tables(value: object, key: str) -> Iterator[tuple[str, Tree]]:
    """The tables of a key that has one table or an array of them, each with its place."""
    if isinstance(value, list):
        yield from ((f"{key}[{number}]", one) for number, one in enumerate(value) if isinstance(one, Mapping))
    elif isinstance(value, Mapping):
        yield key, value


_Kept: TypeAlias = Mapping[str, bool]


def _chain(operation: Tree) -> Iterator[tuple[str, int, _Kept]]:
    """The steps that keep values, in the order of their requests: the key, the number, and the values."""
    for number, (_, one) in enumerate(tables(operation.get("before"), "")):
        yield "before", number, _kept_by(one)
    yield "submit", 0, _kept_by_all([one for _, one in tables(operation.get("submit"), "")])
    for number, (_, one) in enumerate(tables(operation.get("start"), "")):
        yield "start", number, _kept_by(one)
    yield "poll", 0, _kept_by_all([one for _, one in tables(operation.get("poll"), "")])
    results = [one.get("resolve") for _, one in tables(operation.get("results"), "")]
    yield "results", 0, _kept_by_all([one if isinstance(one, Mapping) else {} for one in results])


def _all_of(chain: Sequence[tuple[str, int, _Kept]], step: str) -> Iterator[str]:
    return (name for key, _, kept in chain if key == step for name in kept)


def _kept_by(table: Tree) -> dict[str, bool]:
    """The values that a table keeps, and whether they are always there afterwards."""
    keep = table.get("keep")
    if not isinstance(keep, Mapping):
        return {}
    always = "when" not in table or "name" not in table
    return {
        name: always and not (isinstance(one, Mapping) and one.get("optional") is True) for name, one in keep.items()
    }


def _kept_by_all(variants: Sequence[Tree]) -> dict[str, bool]:
    """The values that any variant keeps; always there are those that all of them keep."""
    every = [_kept_by(one) for one in variants]
    return {name: all(kept.get(name, False) for kept in every) for one in every for name in one}


def _pattern_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a regex that is found in the handle"
    try:
        compile_pattern(value)
    except ValueError as error:
        return str(error)
    return None


def _named(known: Mapping[str, bool]) -> str:
    return ", ".join(sorted(known)) or "none"
