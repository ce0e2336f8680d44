"""The page that makes a backfill by a form: its plan and its parameters, a preview, and then the backfill."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import hdrs, web

from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.domain.job import Job
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.services import BackfillPreview, BackfillRequest, BackfillService, JobService, RefusedError
from tidewaiter.web.callers import Role, actor_of
from tidewaiter.web.route_rules import GuardedRoute, RouteRule, form_route
from tidewaiter.web.ui import backfill_form, job_form
from tidewaiter.web.ui.backfill_form import BackfillFaults, PlanTexts
from tidewaiter.web.ui.batch_pages import batch_address
from tidewaiter.web.ui.forms import read_form
from tidewaiter.web.ui.notices import redirect_after
from tidewaiter.web.ui.operation_choice import choice_page, chosen_account, operation_of
from tidewaiter.web.ui.page_renderer import PageRenderer

NEW_BACKFILL: Final = "/backfills/new"
_LARGEST_FORM: Final = 524_288
_MOST_FIELDS: Final = 1_000
_STEP: Final = "step"
_MAKE: Final = "make"


@dataclass(frozen=True, slots=True)
class _Asked:
    """An operation of an account, and what the fields of its form hold; ``like`` is the job that the values are of."""

    account: str
    operation: str
    spec: OperationSpec
    texts: Mapping[str, str]
    plan: PlanTexts
    like: Job | None = None

    @property
    def request(self) -> BackfillRequest:
        """The backfill that it asks for."""
        return backfill_form.request_of(self.account, self.operation, self.spec, self.texts, self.plan)


class NewBackfillPage:
    """The page at ``/backfills/new``. What is made is what the preview has shown: its form has no other values.

    Args:
        renderer: makes the page.
        jobs: has the accounts.
        backfills: previews and stores the backfill.
        job_lists: finds the newest job of an operation.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        jobs: Callable[[web.Request], JobService],
        backfills: Callable[[web.Request], BackfillService],
        job_lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._jobs = jobs
        self._backfills = backfills
        self._job_lists = job_lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [
            GuardedRoute(hdrs.METH_GET, NEW_BACKFILL, self._show, RouteRule(Role.SUBMIT, limited=True)),
            form_route(NEW_BACKFILL, self._submit, Role.SUBMIT),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        accounts, operation = self._jobs(request).accounts, request.query.get("operation")
        name = chosen_account(request, accounts)
        if name is None or operation is None:
            return choice_page(self._renderer, request, accounts, path=NEW_BACKFILL, title="New backfill")
        spec = operation_of(accounts, name, operation)
        newest = await self._job_lists(request).page(JobFilter(account=name, operation=operation), 1)
        texts = job_form.texts_of(spec, newest[0].params) if newest else {}
        like = newest[0] if newest else None
        texts = backfill_form.with_templates(spec, texts)
        return self._form(request, _Asked(name, operation, spec, texts, PlanTexts(), like), BackfillFaults())

    async def _submit(self, request: web.Request) -> web.Response:
        form = await read_form(request, largest=_LARGEST_FORM, most_fields=_MOST_FIELDS, as_given=True)
        asked = _filled(self._jobs(request).accounts, form)
        if faults := backfill_form.own_faults(form, asked.plan):
            return self._form(request, asked, faults)
        service = self._backfills(request)
        try:
            if form.get(_STEP) != _MAKE:
                preview = await service.preview(asked.request)
                return self._form(request, asked, BackfillFaults(), preview, service.name_for(asked.request))
            made, created = await service.create(asked.request, actor=actor_of(request))
        except RefusedError as error:
            return self._form(request, asked, backfill_form.faults_by_field(asked.spec, error.faults))
        raise redirect_after(batch_address(made.name), "backfill-made" if created else "backfill-known")

    def _form(
        self,
        request: web.Request,
        asked: _Asked,
        faults: BackfillFaults,
        preview: BackfillPreview | None = None,
        name: str = "",
    ) -> web.Response:
        fields = backfill_form.fields_with_templates(asked.spec, asked.texts, faults.params)
        return self._renderer.page(
            request,
            "new-backfill.html",
            status=422 if faults else 200,
            title="New backfill",
            asked=asked,
            plan=asked.plan,
            preview=preview,
            previewed=[] if preview is None else _previewed(asked, name),
            secrets=[one for one in fields if one.kind is job_form.FieldKind.MASKED and asked.texts.get(one.name)],
            name=name,
            fields=fields,
            faults=faults,
            prefix=job_form.PREFIX,
            windows=backfill_form.WINDOWS,
        )


def _filled(accounts: Mapping[str, BoundAccount], form: Mapping[str, str]) -> _Asked:
    """What a form was filled with."""
    account, operation = form.get("account", ""), form.get("operation", "")
    spec = operation_of(accounts, account, operation)
    return _Asked(account, operation, spec, job_form.texts_in(form), PlanTexts.of(form))


def _is_secret(asked: _Asked, param: str) -> bool:
    return param in asked.spec.params and asked.spec.params[param].secret


def _previewed(asked: _Asked, name: str) -> list[tuple[str, str]]:
    """The fields of the form that makes what was previewed; with its name, sending it twice makes one backfill.

    Secrets are entered again: a page never holds them.
    """
    plan = replace(asked.plan, name=name)
    return [
        ("account", asked.account),
        ("operation", asked.operation),
        ("from", plan.first),
        ("to", plan.last),
        ("window", plan.window),
        ("timezone", plan.zone),
        ("at_once", plan.at_once),
        ("order", backfill_form.NEWEST if plan.newest_first else ""),
        ("reuse", "true" if plan.reuse else ""),
        ("name", plan.name),
        (job_form.LABELS, plan.labels),
        *((f"{job_form.PREFIX}{param}", text) for param, text in asked.texts.items() if not _is_secret(asked, param)),
        (_STEP, _MAKE),
    ]
