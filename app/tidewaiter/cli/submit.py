"""``tidewaiter submit``: submits an export, and waits for it with ``--wait``."""

import asyncio
from collections.abc import Mapping, Sequence

import click

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import (
    Invocation,
    config_option,
    current_user,
    example,
    open_job_service,
    pass_invocation,
)
from tidewaiter.cli.job_progress import exit_code_of, job_line, until_ended
from tidewaiter.cli.output import files_json, show_files, show_json
from tidewaiter.cli.shared_options import label_option
from tidewaiter.clock import SystemClock
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_context import JobContext
from tidewaiter.domain.job_json import job_json
from tidewaiter.domain.manifest import Artifact


def parameters_of(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """The parameters given by ``-p key=value``."""
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{one!r} is not of the form key=value", context, parameter)
        if name in found:
            raise click.BadParameter(f"{name} is given twice", context, parameter)
        found[name] = value
    return found


param_option = click.option(
    "-p",
    "params",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parameters_of,
    shell_complete=name_completion.parameters,
    help="A parameter of the operation.",
)


@click.command(
    epilog=example(
        "tidewaiter submit newsletter statistics -p export_type=OPENS -p period=LAST_DAY",
        "tidewaiter submit newsletter statistics -p export_type=SENT -p period=TODAY --wait --timeout 600 --json",
    )
)
@click.argument("account", shell_complete=name_completion.accounts)
@click.argument("operation", shell_complete=name_completion.operations)
@param_option
@click.option("--key", metavar="UNIQUE", help="A name for this request: submitted again, it is the same job.")
@label_option("A label of your own, by which jobs are found; several times for several labels.")
@click.option("--batch", metavar="NAME", help="The batch that the job joins; see `tidewaiter batches`.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait at most so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON, whatever the exit code.")
@config_option
@pass_invocation
def submit(
    invocation: Invocation,
    /,
    *,
    account: str,
    operation: str,
    params: Mapping[str, str],
    key: str | None,
    labels: tuple[tuple[str, str], ...],
    batch: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Submit an export; the daemon does it.

    ACCOUNT is an account of the configuration, OPERATION one of its provider's: see `tidewaiter providers show NAME`.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout needs --wait")

    async def run() -> ExitCode:
        from tidewaiter.services import JobRequest  # noqa: PLC0415  # help and completion do without

        async with open_job_service(invocation, refusal=ExitCode.USAGE, level="warning") as (service, config):
            asked = JobRequest(account, operation, params, key, JobContext(batch=batch, labels=dict(labels)))
            job, created = await service.submit_request(asked, actor=current_user())
            if not wait:
                _show(job, created, as_json)
                return ExitCode.OK
            show = _show_nothing if as_json else _show_line
            try:
                ended = await until_ended(service, job, SystemClock(), show, timeout_s=timeout, on_wait=_show_wait)
            except (CommandError, asyncio.CancelledError):
                # The time is over, or somebody has pressed Ctrl-C: a program gets the job all the same.
                if as_json:
                    now = await service.jobs.get(job.id) or job
                    _show_end(now, await service.jobs.artifacts(job.id), config.storage.place, as_json)
                raise
            _show_end(ended, await service.jobs.artifacts(ended.id), config.storage.place, as_json)
            return exit_code_of(ended)

    click.get_current_context().exit(asyncio.run(run()))


def _show(job: Job, created: bool, as_json: bool) -> None:
    if as_json:
        show_json({**job_json(job), "created": created})
    else:
        click.echo(job_line(job) if created else f"{job_line(job)}; it was submitted before")


def _show_line(job: Job) -> None:
    click.echo(job_line(job))


def _show_wait(sentence: str) -> None:
    click.echo(sentence, err=True)


def _show_nothing(_job: Job) -> None:
    pass


def _show_end(job: Job, artifacts: Sequence[Artifact], place: str, as_json: bool) -> None:
    if as_json:
        show_json({**job_json(job), "artifacts": files_json(job.id, artifacts, place)})
    elif artifacts:
        show_files(artifacts, place)
