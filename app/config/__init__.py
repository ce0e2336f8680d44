"""The operator's configuration: one TOML file, overridden by environment variables, with values out of secret files."""

from app.config.faults import ConfigError, Fault
from app.config.load import PREFIX, load
from app.config.tables import (
    AccountTable,
    CallbacksTable,
    Config,
    HttpTable,
    LimitsTable,
    Origin,
    ScheduleTable,
    Source,
    TokenTable,
    host_and_port,
)

__all__ = [
    "PREFIX",
    "AccountTable",
    "CallbacksTable",
    "Config",
    "ConfigError",
    "Fault",
    "HttpTable",
    "LimitsTable",
    "Origin",
    "ScheduleTable",
    "Source",
    "TokenTable",
    "host_and_port",
    "load",
]
