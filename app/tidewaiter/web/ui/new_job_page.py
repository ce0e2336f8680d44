"""The page that asks for an export by a form: choose an account and an operation, then give its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiohttp import hdrs, web

from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_context import JobContext
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.services import ConflictError, JobRequest, JobService, NotFoundError, RefusedError, ScheduleService
from tidewaiter.web.callers import Role, actor_of
from tidewaiter.web.request_reading import number_of
from tidewaiter.web.route_rules import GuardedRoute, RouteRule, form_route
from tidewaiter.web.ui import job_form
from tidewaiter.web.ui.forms import read_form
from tidewaiter.web.ui.notices import redirect_after
from tidewaiter.web.ui.operation_choice import choice_page, chosen_account, operation_of
from tidewaiter.web.ui.page_renderer import PageRenderer

NEW_JOB: Final = "/jobs/new"
_LARGEST_FORM: Final = 524_288
_MOST_FIELDS: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """An operation of an account, and what the fields of its form hold.

    ``like`` is the job that the values are of, ``schedule`` the schedule that the new job is a run of. ``kept`` are the
    secrets of the job or schedule that ``from`` or ``schedule`` names: an empty field stands for them.
    """

    account: str
    operation: str
    spec: OperationSpec
    texts: Mapping[str, str]
    unique_key: str = ""
    labels: str = ""
    like: Job | None = None
    schedule: str = ""
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def params(self) -> dict[str, Json]:
        """The parameters that it asks for."""
        given = job_form.params_of(self.spec, self.texts)
        return {**{name: value for name, value in self.kept.items() if name in self.spec.params}, **given}


class NewJobPage:
    """The page at ``/jobs/new``.

    Args:
        renderer: makes the page.
        jobs: has the accounts, and stores the job.
        schedules: has the parameters of a schedule.
        job_lists: finds the newest job of an operation.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        jobs: Callable[[web.Request], JobService],
        schedules: Callable[[web.Request], ScheduleService],
        job_lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._jobs = jobs
        self._schedules = schedules
        self._job_lists = job_lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [
            GuardedRoute(hdrs.METH_GET, NEW_JOB, self._show, RouteRule(Role.SUBMIT, limited=True)),
            form_route(NEW_JOB, self._submit, Role.SUBMIT),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        if given := request.query.get("from"):
            return self._form(request, await self._like(request, given), job_form.NO_FAULTS)
        if given := request.query.get("schedule"):
            return self._form(request, self._run_of(request, given), job_form.NO_FAULTS)
        accounts = self._jobs(request).accounts
        name, operation = chosen_account(request, accounts), request.query.get("operation")
        if name is None or operation is None:
            return choice_page(self._renderer, request, accounts, path=NEW_JOB, title="New export")
        asked = _asked(accounts, name, operation)
        newest = await self._job_lists(request).page(JobFilter(account=name, operation=operation), 1)
        return self._form(request, _with_values_of(asked, newest[0]) if newest else asked, job_form.NO_FAULTS)

    async def _submit(self, request: web.Request) -> web.Response:
        form = await read_form(request, largest=_LARGEST_FORM, most_fields=_MOST_FIELDS, as_given=True)
        asked = _filled(self._jobs(request).accounts, form)
        labels = job_form.labels_of(asked.labels)
        if asked.schedule:
            schedule = self._schedules(request).named(asked.schedule)
            if (schedule.account, schedule.operation) != (asked.account, asked.operation):
                raise ConflictError(f"the schedule {schedule.name!r} is of another operation by now")
            asked = replace(asked, kept=schedule.secrets)
        elif given := form.get("like", ""):
            asked = await self._with_secrets(request, asked, given)
        if faults := job_form.own_faults(form, labels):
            return self._form(request, asked, faults)
        job_request = JobRequest(
            asked.account,
            asked.operation,
            asked.params,
            asked.unique_key or None,
            JobContext(schedule=asked.schedule or None, labels=labels),
        )
        try:
            job, created = await self._jobs(request).submit_request(job_request, actor=actor_of(request))
        except RefusedError as error:
            return self._form(request, asked, job_form.faults_by_field(asked.spec, error.faults))
        raise redirect_after(f"/jobs/{job.id}", "submitted" if created else "known")

    def _run_of(self, request: web.Request, given: str) -> _Asked:
        """A form with the values of a schedule, as of now."""
        schedule = self._schedules(request).named(given)
        asked = _asked(self._jobs(request).accounts, schedule.account, schedule.operation)
        params = self._schedules(request).params_of(given)
        texts = job_form.texts_of(asked.spec, params)
        return replace(asked, texts=texts, schedule=schedule.name, kept=schedule.secrets)

    async def _like(self, request: web.Request, given: str) -> _Asked:
        """A form with the values of a job."""
        job = await self._named(request, given)
        asked = _with_values_of(_asked(self._jobs(request).accounts, job.account, job.operation), job)
        asked = await self._with_secrets(request, asked, given)
        return replace(asked, labels=job_form.text_of_labels(job.context.labels))

    async def _named(self, request: web.Request, given: str) -> Job:
        number = number_of(given)
        if number is None:
            raise NotFoundError(f"{given[:64]!r} is no job; jobs have numbers")
        return await self._jobs(request).job(number)

    async def _with_secrets(self, request: web.Request, asked: _Asked, given: str) -> _Asked:
        """The same with the secrets of a job of the same operation; without them if they cannot be decrypted."""
        job, seal = await self._named(request, given), self._jobs(request).jobs.seal
        if (job.account, job.operation) != (asked.account, asked.operation):
            raise ConflictError(f"job {job.id} is of another account or operation")
        return replace(asked, like=job, kept=seal.secrets(job.secrets) or {})

    def _form(self, request: web.Request, asked: _Asked, faults: job_form.FormFaults) -> web.Response:
        return self._renderer.page(
            request,
            "new-job.html",
            status=422 if faults else 200,
            title="New export",
            asked=asked,
            fields=job_form.form_fields(asked.spec, asked.texts, faults.params, asked.kept),
            faults=faults,
            prefix=job_form.PREFIX,
            longest_key=job_form.LONGEST_KEY,
        )


def _asked(accounts: Mapping[str, BoundAccount], name: str, operation: str) -> _Asked:
    return _Asked(name, operation, operation_of(accounts, name, operation), {})


def _with_values_of(asked: _Asked, job: Job) -> _Asked:
    return replace(asked, texts=job_form.texts_of(asked.spec, job.params), like=job)


def _filled(accounts: Mapping[str, BoundAccount], form: Mapping[str, str]) -> _Asked:
    """What a form was filled with."""
    return replace(
        _asked(accounts, form.get("account", ""), form.get("operation", "")),
        texts=job_form.texts_in(form),
        schedule=form.get("schedule", ""),
        unique_key=form.get(job_form.UNIQUE_KEY, ""),
        labels=form.get(job_form.LABELS, ""),
    )
