"""The operator's configuration: one TOML file, overridden by environment variables, with values out of secret files."""

from app.config.accounts import AccountTable
from app.config.errors import ConfigError
from app.config.faults import Fault
from app.config.load import PREFIX, load
from app.config.notifications import NotificationTable
from app.config.origin import Origin, Source
from app.config.tables import CallbacksTable, Config, HttpTable, TokenTable
from app.config.values import host_and_port

__all__ = [
    "PREFIX",
    "AccountTable",
    "CallbacksTable",
    "Config",
    "ConfigError",
    "Fault",
    "HttpTable",
    "NotificationTable",
    "Origin",
    "Source",
    "TokenTable",
    "host_and_port",
    "load",
]
