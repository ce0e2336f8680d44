"""Turns faults of job requests into faults of a body, with JSON pointers to the members."""

from collections.abc import Sequence

from app.desk import RefusedError, Wish, WishFault
from app.domain.jsonvalue import Json
from app.web.api.reading import MOST_FAULTS, pointer_of, unfit
from app.web.problems import FieldFault, ProblemError


def refused(faults: Sequence[WishFault], job_requests: Sequence[Wish], *, many: bool) -> ProblemError:
    """The problem of refused job requests; ``many`` says that the body has them in an array ``jobs``."""
    return unfit([_field_fault(one, job_requests[one.place], many=many) for one in faults[:MOST_FAULTS]])


def refused_one(error: RefusedError, job_request: Wish) -> ProblemError:
    """The problem of one refused job request."""
    return refused(error.faults, [job_request], many=False)


def _field_fault(fault: WishFault, job_request: Wish, *, many: bool) -> FieldFault:
    before: list[str | int] = ["jobs", fault.place] if many else []
    inside = steps_of(fault.path, dict(job_request.params)) if fault.path else []
    return FieldFault(fault.reason, pointer_of([*before, fault.member, *inside]))


def steps_of(path: str, within: Json) -> list[str | int]:
    """The members on a path such as ``variants.twitter[0].message``.

    Names may contain dots and brackets, so the existing names are tried before the path is split.
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
