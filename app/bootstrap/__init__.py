"""The composition root: the only package that names every concrete class and puts them together."""

from app.bootstrap.accounts import bind_accounts, faults_of_accounts, read_schedules
from app.bootstrap.daemon import Seams, build_daemon
from app.bootstrap.desk import open_desk, open_notifications, open_schedules
from app.bootstrap.notifications import TEST_TYPE, endpoints_of, read_subscriptions, send_test
from app.bootstrap.once import RunBrokenError, run_once
from app.bootstrap.serving import EXIT_FAILED, EXIT_OK, serve

__all__ = [
    "EXIT_FAILED",
    "EXIT_OK",
    "TEST_TYPE",
    "RunBrokenError",
    "Seams",
    "bind_accounts",
    "build_daemon",
    "endpoints_of",
    "faults_of_accounts",
    "open_desk",
    "open_notifications",
    "open_schedules",
    "read_schedules",
    "read_subscriptions",
    "run_once",
    "send_test",
    "serve",
]
