"""The operator's configuration: one TOML file, overridden by environment variables, with values out of secret files."""

from tidewaiter.config.config_tables import AccountTable, CallbacksTable, Config, HttpTable, TokenTable
from tidewaiter.config.load import PREFIX, ConfigError, load
from tidewaiter.config.notification_tables import NotificationTable
from tidewaiter.config.origins import ConfigFault, ValueOrigin, ValueSource
from tidewaiter.config.value_types import host_and_port

__all__ = [
    "PREFIX",
    "AccountTable",
    "CallbacksTable",
    "Config",
    "ConfigError",
    "ConfigFault",
    "HttpTable",
    "NotificationTable",
    "TokenTable",
    "ValueOrigin",
    "ValueSource",
    "host_and_port",
    "load",
]
