"""The operator's configuration: one TOML file, overridden by environment variables, with values out of secret files."""

from app.config.faults import ConfigError, Fault
from app.config.load import PREFIX, load
from app.config.tables import AccountTable, Config, LimitsTable, Origin, ScheduleTable, Source

__all__ = [
    "PREFIX",
    "AccountTable",
    "Config",
    "ConfigError",
    "Fault",
    "LimitsTable",
    "Origin",
    "ScheduleTable",
    "Source",
    "load",
]
