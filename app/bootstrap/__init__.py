"""The composition root: the only package that names every concrete class and puts them together."""

from app.bootstrap.accounts import bind_accounts, known_settings, read_schedules, secrets_of
from app.bootstrap.daemon import build_daemon
from app.bootstrap.desk import open_desk, open_notifications, open_schedules, rekeyed
from app.bootstrap.doctor import consult
from app.bootstrap.faults import faults_of
from app.bootstrap.notifications import TEST_TYPE, endpoints_of, send_test, subscriptions_of
from app.bootstrap.once import RunBrokenError, run_once
from app.bootstrap.seams import Seams
from app.bootstrap.serving import EXIT_FAILED, EXIT_OK, serve

__all__ = [
    "EXIT_FAILED",
    "EXIT_OK",
    "TEST_TYPE",
    "RunBrokenError",
    "Seams",
    "bind_accounts",
    "build_daemon",
    "consult",
    "endpoints_of",
    "faults_of",
    "known_settings",
    "open_desk",
    "open_notifications",
    "open_schedules",
    "read_schedules",
    "rekeyed",
    "run_once",
    "secrets_of",
    "send_test",
    "serve",
    "subscriptions_of",
]
