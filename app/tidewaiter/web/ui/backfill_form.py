"""The form for a backfill: the plan, and the parameters of its jobs, which may hold templates of the window."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tidewaiter.domain.backfill import MOST_AT_ONCE, USUAL_AT_ONCE, BackfillPlan
from tidewaiter.domain.windows import Span
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.services import BackfillRequest, JobRequestFault
from tidewaiter.web.ui import job_form
from tidewaiter.web.ui.job_form import FieldKind, FormField

TEMPLATES: Final = ("${window.from}", "${window.to}", "${window.to+1d}", "${window.start}", "${window.end}")
"""What a field for a parameter suggests."""
WINDOWS: Final = ("1d", "1w", "1mo", "6h", "1h")
"""What the field for the window suggests."""
NEWEST: Final = "newest"
_FILLABLE: Final = frozenset({FieldKind.DATE, FieldKind.NUMBER, FieldKind.TEXT, FieldKind.SUGGESTED})
_DATE: Final = re.compile(r"(?<![\w.:/-])\d{4}-\d{2}-\d{2}(?![\w.:/-])")
_MOST_DATES: Final = 2
_PLAN: Final = ("from", "to", "window", "timezone", "at_once", "name")


@dataclass(frozen=True, slots=True)
class PlanTexts:
    """What the fields of the plan hold."""

    first: str = ""
    last: str = ""
    window: str = "1d"
    zone: str = "UTC"
    at_once: str = str(USUAL_AT_ONCE)
    newest_first: bool = False
    reuse: bool = True
    name: str = ""
    labels: str = ""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "PlanTexts":
        """What a form was filled with."""
        return cls(
            form.get("from", ""),
            form.get("to", ""),
            form.get("window", ""),
            form.get("timezone", "") or "UTC",
            form.get("at_once", ""),
            form.get("order", "") == NEWEST,
            form.get("reuse", "") == "true",
            form.get("name", ""),
            form.get(job_form.LABELS, ""),
        )


@dataclass(frozen=True, slots=True)
class BackfillFaults:
    """What is wrong with a form: by parameter, by field of the plan, and with the rest."""

    params: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.params or self.plan or self.others)


def fields_with_templates(
    spec: OperationSpec, texts: Mapping[str, str], faults: Mapping[str, str] | None = None
) -> list[FormField]:
    """The fields for the parameters of an operation; where it is one value, a template can be written in its place."""
    return [
        replace(one, kind=FieldKind.SUGGESTED, choices=(*one.choices, *TEMPLATES)) if one.kind in _FILLABLE else one
        for one in job_form.form_fields(spec, texts, faults)
    ]


def with_templates(spec: OperationSpec, texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of a job's parameters with the window in place of its dates: the first, and the last if there are more.

    Dates that are optional stay as they are, unless the job has them or there are no others. Where no parameter takes
    dates only, the dates that stand in texts and in nested values are replaced, if they can only be one window.
    """
    dates = [one for one in job_form.form_fields(spec, {}) if one.kind is FieldKind.DATE]
    names = [one.name for one in dates if one.is_required or one.name in texts] or [one.name for one in dates]
    found = dict(texts)
    if names:
        found[names[0]] = TEMPLATES[0]
    if len(names) > 1:
        found[names[-1]] = TEMPLATES[1]
    return found if names else _with_dates_replaced(spec, found)


def _with_dates_replaced(spec: OperationSpec, texts: Mapping[str, str]) -> dict[str, str]:
    """The texts with the window in place of one date, or of two: the earlier is the first day, the later the last."""
    names = [
        one.name
        for one in job_form.form_fields(spec, texts)
        if one.kind is FieldKind.JSON or (one.kind is FieldKind.TEXT and _DATE.fullmatch(one.text))
    ]
    dates = [date for name in names for date in _DATE.findall(texts.get(name, ""))]
    if not 1 <= len(dates) <= _MOST_DATES:
        return dict(texts)
    templates = iter(TEMPLATES[:_MOST_DATES] if dates == sorted(dates) else TEMPLATES[1::-1])
    replaced = {name: _DATE.sub(lambda _: next(templates), texts.get(name, "")) for name in names}
    return {name: replaced.get(name, text) for name, text in texts.items()}


def own_faults(form: Mapping[str, str], plan: PlanTexts) -> BackfillFaults:
    """What is wrong with a form before the service sees it."""
    found = job_form.own_faults(form, job_form.labels_of(plan.labels))
    wrong = {} if found.labels is None else {job_form.LABELS: found.labels}
    if not plan.at_once.isascii() or not plan.at_once.isdigit() or not 1 <= int(plan.at_once[:9]) <= MOST_AT_ONCE:
        wrong["at_once"] = f"must be a number from 1 to {MOST_AT_ONCE}"
    return BackfillFaults(found.params, wrong)


def faults_by_field(spec: OperationSpec, faults: Sequence[JobRequestFault]) -> BackfillFaults:
    """The faults that the service has found, by the fields of the form."""
    of_plan = {one.member: one.reason for one in faults if one.member in _PLAN}
    rest = [one for one in faults if one.member not in _PLAN]
    whole = [f"the parameters: they {one.reason}" for one in rest if one.member == "params" and not one.path]
    found = job_form.faults_by_field(spec, [one for one in rest if one.member != "params" or one.path])
    return BackfillFaults(found.params, of_plan, [*whole, *found.others])


def request_of(
    account: str, operation: str, spec: OperationSpec, texts: Mapping[str, str], plan: PlanTexts
) -> BackfillRequest:
    """The request of a form in which :func:`own_faults` has found nothing."""
    span = Span(plan.first, plan.last, plan.window, plan.zone)
    labels = job_form.labels_of(plan.labels)
    made = BackfillPlan(span, plan.newest_first, int(plan.at_once), plan.reuse, labels)
    return BackfillRequest(account, operation, job_form.params_of(spec, texts), made, plan.name or None)
