"""The composition root: the only package that names every concrete class and puts them together."""

from tidewaiter.bootstrap.account_binding import (
    account_warnings,
    bind_accounts,
    faults_of_specs,
    known_settings,
    read_schedules,
    secrets_of,
    unsealed_secrets,
    usable_providers,
)
from tidewaiter.bootstrap.configured_checks import run_checks
from tidewaiter.bootstrap.daemon_assembly import build_daemon
from tidewaiter.bootstrap.open_services import (
    open_account_service,
    open_backfills,
    open_job_service,
    open_notifications,
    open_schedules,
    rekeyed,
)
from tidewaiter.bootstrap.process import EXIT_FAILED, EXIT_OK, serve
from tidewaiter.bootstrap.seams import Seams
from tidewaiter.bootstrap.served_file import accept_database
from tidewaiter.bootstrap.single_run import RunBrokenError, run_once
from tidewaiter.bootstrap.start_checks import faults_of, faults_of_machine, faults_of_served_file
from tidewaiter.bootstrap.webhooks import TEST_TYPE, endpoints_of, send_test, subscriptions_of

__all__ = [
    "EXIT_FAILED",
    "EXIT_OK",
    "TEST_TYPE",
    "RunBrokenError",
    "Seams",
    "accept_database",
    "account_warnings",
    "bind_accounts",
    "build_daemon",
    "endpoints_of",
    "faults_of",
    "faults_of_machine",
    "faults_of_served_file",
    "faults_of_specs",
    "known_settings",
    "open_account_service",
    "open_backfills",
    "open_job_service",
    "open_notifications",
    "open_schedules",
    "read_schedules",
    "rekeyed",
    "run_checks",
    "run_once",
    "secrets_of",
    "send_test",
    "serve",
    "subscriptions_of",
    "unsealed_secrets",
    "usable_providers",
]
