"""Which jobs a command acts on: those that are named by number, or all that match a filter."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.label_options import label_option
from tidewaiter.domain.job import Job, State

if TYPE_CHECKING:
    from tidewaiter.services import JobService

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PAGE: Final = 1000


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
    dry_run: bool = False

    @property
    def by_filter(self) -> bool:
        """Whether a filter selects the jobs."""
        named = self.account or self.operation or self.batch
        return bool(named or self.states or self.labels or self.unhandled)

    def check(self) -> None:
        """Make sure that numbers or a filter are given, not both.

        Raises:
            UsageError: none is given, or both.
        """
        if self.numbers and self.by_filter:
            raise click.UsageError("give the numbers of jobs, or a filter such as --account, not both")
        if not self.numbers and not self.by_filter:
            raise click.UsageError("give the numbers of jobs, or a filter such as --unhandled or --account")

    async def read(self, service: "JobService", is_open: Callable[[Job], bool]) -> list[int]:
        """The numbers of the selected jobs, the oldest first; a filter selects those only for which ``is_open``.

        The list is read before anything is changed, so that new jobs are never selected.

        Raises:
            CommandError: see :func:`check_account`.
        """
        from tidewaiter.database.job_list import JobFilter, JobList  # noqa: PLC0415  # help does without

        if not self.by_filter:
            return list(dict.fromkeys(self.numbers))
        await check_account(service, self.account)
        states = [State(state) for state in self.states]
        wanted = JobFilter(
            self.account, self.operation, states, unhandled=self.unhandled, labels=self.labels, batch=self.batch
        )
        found: list[int] = []
        before: int | None = None
        while True:
            page = await JobList(service.jobs).page(wanted, _PAGE, before)
            found += [job.id for job in page if is_open(job)]
            if len(page) < _PAGE:
                break
            before = page[-1].id
        return found[::-1]


async def check_account(service: "JobService", name: str | None) -> None:
    """Refuse a name that is probably mistyped; an account that has left the configuration may have jobs.

    Raises:
        CommandError: the account is neither in the configuration nor has jobs.
    """
    if name is not None and name not in service.accounts and not await service.jobs.find(account=name, limit=1):
        known = ", ".join(sorted(service.accounts)) or "none is configured"
        raise CommandError(ExitCode.USAGE, f"unknown account {name!r}; configured: {known}")


def selects_jobs(command: _Command) -> _Command:
    """The argument and the options of a command that acts on jobs; they fill the fields of :class:`JobSelection`."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show which jobs it would act on, and change nothing."),
        label_option("All jobs with this label; several times: with all of them."),
        click.option("--batch", metavar="NAME", help="All jobs of this batch."),
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


async def act_on(numbers: Sequence[int], action: Callable[[int], Awaitable[Job]], refusals: list[str]) -> list[Job]:
    """Run an action on each job; returns the jobs after it. The reason of each refusal is added to ``refusals``."""
    from tidewaiter.services import RequestError  # noqa: PLC0415  # help and completion do without

    done: list[Job] = []
    for number in numbers:
        try:
            done.append(await action(number))
        except RequestError as error:
            refusals.append(str(error))
    return done
