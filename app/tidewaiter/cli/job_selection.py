"""Which jobs a command acts on: those that are named by number, or all that match a filter."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.shared_options import label_option
from tidewaiter.domain.job import State

if TYPE_CHECKING:
    from tidewaiter.database.job_list import JobFilter
    from tidewaiter.domain.job import Job
    from tidewaiter.services import Actor, JobService
    from tidewaiter.services.many_jobs import ManyResult

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class JobSelection:
    """The jobs with these numbers, or all that match the filter; ``dry_run``: only show them."""

    numbers: tuple[int, ...] = ()
    account: str | None = None
    operation: str | None = None
    states: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    batch: str | None = None
    unhandled: bool = False
    cause: str | None = None
    search: str | None = None
    dry_run: bool = False

    @property
    def by_filter(self) -> bool:
        """Whether a filter selects the jobs."""
        texts = (self.account, self.operation, self.batch, self.cause, self.search)
        return any(texts) or bool(self.states or self.labels or self.unhandled)

    def check(self) -> None:
        """Make sure that numbers or a filter are given, not both.

        Raises:
            UsageError: none is given, or both.
        """
        if self.numbers and self.by_filter:
            raise click.UsageError("give the numbers of jobs, or a filter such as --account, not both")
        if not self.numbers and not self.by_filter:
            raise click.UsageError("give the numbers of jobs, or a filter such as --unhandled or --account")

    async def apply(self, service: "JobService", action: str, actor: "Actor") -> "ManyResult":
        """Act on the jobs, or show what would be done.

        Raises:
            CommandError: see :func:`check_account`.
        """
        from tidewaiter.database.job_list import JobFilter, JobList  # noqa: PLC0415  # help and completion do without
        from tidewaiter.services.many_jobs import JobAction, ManyJobs, Selection  # noqa: PLC0415

        await check_account(service, self.account, self.operation)
        filters = JobFilter(
            account=self.account,
            operation=self.operation,
            states=tuple(State(state) for state in self.states),
            unhandled=self.unhandled,
            labels=self.labels,
            batch=self.batch,
            cause=self.cause,
            search=self.search,
        )
        many, selection = ManyJobs(service, JobList(service.jobs)), Selection(self.numbers, filters)
        if self.dry_run:
            return await many.preview(JobAction(action), selection, sys.maxsize)
        return await many.act(JobAction(action), selection, actor=actor, most=sys.maxsize)


async def find_jobs(service: "JobService", filters: "JobFilter", limit: int, before: int | None) -> "list[Job]":
    """Jobs that match a filter, the newest first."""
    from tidewaiter.database.job_list import JobList  # noqa: PLC0415  # help and completion do without

    return await JobList(service.jobs).page(filters, limit, before, service.offered)


async def check_account(service: "JobService", name: str | None, operation: str | None = None) -> None:
    """Refuse names that are probably mistyped; what has left the configuration may have jobs.

    Raises:
        CommandError: the account or the operation is neither in the configuration nor has jobs.
    """
    from tidewaiter.providers.bound_accounts import faulty_among  # noqa: PLC0415  # help and completion do without

    known_names = {*service.accounts, *faulty_among(service.accounts)}
    if name is not None and name not in known_names and not await service.jobs.find(account=name, limit=1):
        known = ", ".join(sorted(service.accounts)) or "none is configured"
        raise CommandError(ExitCode.USAGE, f"unknown account {name!r}; configured: {known}")
    offered = {one for names in service.offered.values() for one in names}
    if operation is None or operation in offered or await service.jobs.has_operation(operation):
        return
    known = ", ".join(sorted(offered)) or "none is configured"
    raise CommandError(ExitCode.USAGE, f"unknown operation {operation!r}; the accounts have: {known}")


def selects_jobs(command: _Command) -> _Command:
    """The argument and the options of a command that acts on jobs; they fill the fields of :class:`JobSelection`."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show which jobs it would act on, and change nothing."),
        label_option("All jobs with this label; several times: with all of them."),
        click.option("--batch", metavar="NAME", help="All jobs of this batch."),
        click.option("--search", metavar="TEXT", help="All jobs that the search finds: see `jobs list`."),
        click.option("--cause", metavar="TEXT", help="All failures of this cause: see `jobs list --by cause`."),
        click.option("--unhandled", is_flag=True, help="All failures that nobody has acknowledged or retried."),
        click.option(
            "--state",
            "states",
            multiple=True,
            type=click.Choice([one.value for one in State]),
            help="All jobs in this state.",
        ),
        click.option(
            "--operation", metavar="NAME", shell_complete=name_completion.operations, help="All jobs of this operation."
        ),
        click.option(
            "--account", metavar="NAME", shell_complete=name_completion.accounts, help="All jobs of this account."
        ),
        click.argument("numbers", type=int, nargs=-1, metavar="[JOB]..."),
    ):
        command = option(command)
    return command
