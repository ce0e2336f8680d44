"""From the desk's faults to those of a body: JSON pointers to what is wrong in it."""

from collections.abc import Sequence

from app.desk import RefusedError, Wish, WishFault
from app.domain.jsonvalue import Json
from app.web.api.reading import MOST_FAULTS, pointer_of, unfit
from app.web.problems import FieldFault, ProblemError


def refused(faults: Sequence[WishFault], wishes: Sequence[Wish], *, many: bool) -> ProblemError:
    """The problem of wishes that the desk has refused; ``many`` says that they stand in an array ``jobs``."""
    return unfit([_field_fault(one, wishes[one.place], many=many) for one in faults[:MOST_FAULTS]])


def refused_one(error: RefusedError, wish: Wish) -> ProblemError:
    """The problem of one wish that the desk has refused."""
    return refused(error.faults, [wish], many=False)


def _field_fault(fault: WishFault, wish: Wish, *, many: bool) -> FieldFault:
    before: list[str | int] = ["jobs", fault.place] if many else []
    inside = steps_of(fault.path, dict(wish.params)) if fault.path else []
    return FieldFault(fault.reason, pointer_of([*before, fault.member, *inside]))


def steps_of(path: str, within: Json) -> list[str | int]:
    """The members that a path such as ``variants.twitter[0].message`` passes through.

    Names may hold dots and brackets themselves, so the names that are there are tried before the path is cut.
    """
    steps: list[str | int] = []
    while path:
        if path.startswith("[") and (end := path.find("]")) > 1 and path[1:end].isdigit():
            step: str | int = int(path[1:end])
            path = path[end + 1 :]
            within = within[step] if isinstance(within, list) and isinstance(step, int) and step < len(within) else None
        else:
            path = path.removeprefix(".") if steps else path
            step = _name_at(path, within)
            path = path[len(step) :]
            within = within.get(step) if isinstance(within, dict) else None
        steps.append(step)
    return steps


def _name_at(path: str, within: Json) -> str:
    names: list[str] = list(within) if isinstance(within, dict) else []
    there = [name for name in names if name and path.startswith(name) and path[len(name) :][:1] in ("", ".", "[")]
    if there:
        return max(there, key=len)
    cut = [place for sign in ".[" if (place := path.find(sign)) > 0]
    return path[: min(cut)] if cut else path
