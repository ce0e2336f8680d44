"""Everything that is wrong with a configuration beyond its own tables: what a daemon would refuse to start with."""

from app.bootstrap.access import faults_of_access
from app.bootstrap.accounts import bind_sound_accounts, read_schedules
from app.bootstrap.notifications import faults_of_notifications
from app.config import Config, ConfigError
from app.config.faults import Fault


def faults_of(config: Config) -> tuple[Fault, ...]:
    """What is wrong with accounts, specs, schedules, listeners and notifications; empty when a daemon could start."""
    return (*_faults_of_accounts(config), *faults_of_access(config), *faults_of_notifications(config))


def _faults_of_accounts(config: Config) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    try:
        accounts, faults = bind_sound_accounts(config)
        read_schedules(config, accounts)
    except ConfigError as error:
        faults += error.faults
    return tuple(faults)
