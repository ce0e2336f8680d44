"""``tidewaiter doctor``: tests everything that the configuration names, and says how to fix what does not work."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Final

import click

from tidewaiter.bootstrap import (
    account_warnings,
    bind_accounts,
    faults_of,
    faults_of_specs,
    known_settings,
    run_checks,
    secrets_of,
    usable_providers,
)
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, config_option, example, pass_invocation
from tidewaiter.cli.output import show_json
from tidewaiter.config import Config, ConfigError, ConfigFault
from tidewaiter.config.config_warnings import config_warnings
from tidewaiter.doctor.findings import CheckStatus, Finding
from tidewaiter.domain.formatting import counted, printable

_COLOURS: Final = {
    CheckStatus.OK: "green",
    CheckStatus.INFO: "blue",
    CheckStatus.WARNING: "yellow",
    CheckStatus.FAILURE: "red",
}
_CHECK: Final = 14
_STATUS: Final = 7
_WAITING: Final = "checking …"


@click.command(epilog=example("tidewaiter doctor", "tidewaiter doctor --account newsletter --json"))
@click.option("--account", "accounts", multiple=True, metavar="NAME", help="Check this account only; repeatable.")
@click.option("--offline", is_flag=True, help="Send nothing over the network.")
@click.option(
    "--test-key", is_flag=True, help="For a spec without a probe, ask for the status of a job that does not exist."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@pass_invocation
def doctor(
    invocation: Invocation, /, *, accounts: tuple[str, ...], offline: bool, test_key: bool, as_json: bool
) -> None:
    """Test what the configuration names, and say what to fix.

    Configuration, database, storage, every account with its provider's own probe, callbacks. It needs no daemon, may
    run beside one, and does not touch jobs. The exit code is 1 if a check failed, and 78 if the configuration is wrong;
    warnings do not count.
    """
    if offline and test_key:
        raise click.UsageError("--test-key sends a request, and --offline sends none")
    findings: list[Finding] = []
    shown = findings.extend if as_json else _printer(findings)
    config, faults = _configuration(invocation, accounts)
    shown([one for one in faults if not _is_of_another(one, accounts)])
    if config is not None:
        strange = sorted(set(accounts) - set(config.accounts))
        if strange:
            known = ", ".join(sorted(config.accounts)) or "none"
            raise click.UsageError(f"there is no account {strange[0]!r} (there are: {known})")
        asyncio.run(_consult(invocation, config, shown, accounts=accounts, offline=offline, tests_keys=test_key))
    if as_json:
        show_json([asdict(one) for one in findings])
    elif config is not None:
        click.echo(_summary(findings))
    if config is None:
        raise CommandError(ExitCode.CONFIG)
    if any(one.status is CheckStatus.FAILURE for one in findings):
        raise CommandError(ExitCode.FAILED)


def _configuration(invocation: Invocation, accounts: tuple[str, ...]) -> tuple[Config | None, list[Finding]]:
    """The configuration if it can be used, and the findings about it, as far as they concern the selected accounts."""
    try:
        config = invocation.load()
        faults = faults_of(config)
    except ConfigError as error:
        return None, [_fault(one) for one in error.faults]
    of_specs = faults_of_specs(usable_providers(config)) if faults else {}
    if {*faults} - {fault for ones in of_specs.values() for fault in ones}:
        return None, [_fault(one) for one in faults]
    # A faulty spec stops its own accounts only, so everything else is checked.
    used = {one.provider for name, one in config.accounts.items() if not accounts or name in accounts}
    found = [_fault(one) for name, ones in of_specs.items() if not accounts or name in used for one in ones]
    found += [_warning(one) for one in (*config_warnings(config, known_settings(config)), *account_warnings(config))]
    if not found:
        number = len(config.accounts)
        summary = f"{counted(number, 'account')}, no warnings"
        found = [Finding("configuration", str(config.path), CheckStatus.OK, summary, "", 0.0)]
    return config, found


def _is_of_another(finding: Finding, accounts: tuple[str, ...]) -> bool:
    """Whether it is a warning about an account that was not selected."""
    table, _, rest = finding.subject.partition(".")
    if not accounts or finding.status is not CheckStatus.WARNING or table != "accounts":
        return False
    return not any(rest == name or rest.startswith(f"{name}.") for name in accounts)


def _fault(fault: ConfigFault) -> Finding:
    return Finding("configuration", fault.key, CheckStatus.FAILURE, fault.reason, f"correct it in {fault.origin}", 0.0)


def _warning(fault: ConfigFault) -> Finding:
    reason, _, remedy = fault.reason.rpartition("; ")
    return Finding("configuration", fault.key, CheckStatus.WARNING, reason or remedy, remedy, 0.0)


async def _consult(
    invocation: Invocation,
    config: Config,
    shown: Callable[[Iterable[Finding]], None],
    *,
    accounts: tuple[str, ...],
    offline: bool,
    tests_keys: bool,
) -> None:
    with invocation.log(config) as log:
        log.add_secrets(secrets_of(config, bind_accounts(config, usable_providers(config))))

        def show(found: list[Finding]) -> None:
            shown([_cleaned(one, invocation.clean) for one in found])

        await run_checks(config, log, show, accounts=accounts, offline=offline, tests_keys=tests_keys)


def _cleaned(finding: Finding, clean: Callable[[str], str]) -> Finding:
    """The finding without secrets: a provider may have quoted one."""
    message, remedy = clean(finding.message), clean(finding.remedy)
    return Finding(finding.check, finding.subject, finding.status, message, remedy, finding.seconds)


# --- what is printed --------------------------------------------------------------------------------------------------


def _printer(findings: list[Finding]) -> Callable[[Iterable[Finding]], None]:
    """Prints findings as they come, and keeps them; on a terminal a last line says that more will follow."""
    to_terminal = sys.stdout.isatty()

    def shown(found: Iterable[Finding]) -> None:
        if to_terminal and findings:
            click.echo("\r\x1b[K", nl=False)
        for one in found:
            findings.append(one)
            _print(one)
        if to_terminal:
            click.echo(_WAITING, nl=False)

    return shown


def _print(finding: Finding) -> None:
    status = finding.status.value.ljust(_STATUS)
    if not os.environ.get("NO_COLOR"):
        status = click.style(status, fg=_COLOURS[finding.status])
    subject = f"{finding.subject}: " if finding.subject not in ("", finding.check) else ""
    took = f" ({finding.seconds:.1f} s)" if finding.seconds >= 0.1 else ""
    click.echo(f"{status}  {finding.check.ljust(_CHECK)}  {printable(subject + finding.message)}{took}")
    if finding.remedy:
        label = "try" if finding.status is CheckStatus.INFO else "fix"
        click.echo(f"{' ' * (_STATUS + _CHECK + 4)}{label}: {printable(finding.remedy)}")


def _summary(findings: list[Finding]) -> str:
    counts: dict[CheckStatus, int] = {status: sum(one.status is status for one in findings) for status in CheckStatus}
    failures, warnings = counts[CheckStatus.FAILURE], counts[CheckStatus.WARNING]
    end = "\r\x1b[K" if sys.stdout.isatty() else ""
    return (
        f"{end}{len(findings)} checks: {failures} failure{'s' * (failures != 1)}, "
        f"{warnings} warning{'s' * (warnings != 1)}"
    )
