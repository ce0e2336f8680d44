"""What the configuration names, made real: accounts bound to their providers, and schedules."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from app.config import Config, ConfigError
from app.config.faults import Fault
from app.providers.faults import ParameterError, SettingsError, SpecError, UnknownProviderError
from app.providers.overrides import LimitsOverride, ScheduleOverride
from app.providers.provider import BoundAccount
from app.providers.registry import Registry
from app.providers.spec.values import Setting
from app.recurrence import CatchUp, Schedule


def load_providers(config: Config) -> Registry:
    """Every provider there is: the built-in ones and those of the configuration's folders.

    Raises:
        ConfigError: broken specs, all of them at once.
    """
    try:
        return Registry.load(config.providers.folders)
    except SpecError as error:
        raise ConfigError.of([Fault(str(one.file), one.key, one.reason) for one in error.faults]) from error


def bind_accounts(config: Config, registry: Registry | None = None) -> dict[str, BoundAccount]:
    """Every configured account, bound to its provider's spec; the registry is loaded where there is none yet.

    Raises:
        ConfigError: broken specs, unknown providers, bad settings: all of them at once.
    """
    registry = registry or load_providers(config)
    bound: dict[str, BoundAccount] = {}
    faults: list[Fault] = []
    for name, account in config.accounts.items():
        try:
            provider = registry.get(account.provider)
            bound[name] = provider.bind(
                name,
                account.settings,
                limits=LimitsOverride(**account.limits.model_dump()),
                schedule=ScheduleOverride(**account.schedule.model_dump()),
                clean=account.clean,
            )
        except UnknownProviderError as error:
            faults.append(config.fault_at("accounts", name, "provider", reason=str(error)))
        except SettingsError as error:
            known = registry.get(account.provider).spec.account
            for one in error.faults:
                inside = ("settings", one.key) if one.key in known or one.key in account.settings else (one.key,)
                faults.append(config.fault_at("accounts", name, *filter(None, inside), reason=one.reason))
    if faults:
        raise ConfigError.of(faults)
    return bound


def read_schedules(config: Config, accounts: Mapping[str, BoundAccount]) -> dict[str, Schedule]:
    """Every configured schedule, by name.

    Raises:
        ConfigError: an account or an operation that there is not, or parameters that it refuses; all of them at once.
    """
    found: dict[str, Schedule] = {}
    faults: list[Fault] = []
    for name, one in config.schedules.items():
        schedule = Schedule(
            name, one.account, one.operation, one.cron, ZoneInfo(one.timezone), one.params, CatchUp(one.catch_up)
        )
        fault = _fault_of_schedule(config, accounts, schedule)
        if fault is None:
            found[name] = schedule
        else:
            faults.append(fault)
    if faults:
        raise ConfigError.of(faults)
    return found


def _fault_of_schedule(config: Config, accounts: Mapping[str, BoundAccount], schedule: Schedule) -> Fault | None:
    account = accounts.get(schedule.account)
    if account is None:
        reason = f"{schedule.account!r} is no configured account (there are: {', '.join(sorted(accounts)) or 'none'})"
        return config.fault_at("schedules", schedule.name, "account", reason=reason)
    operation = account.operations.get(schedule.operation)
    if operation is None:
        known = ", ".join(sorted(account.operations))
        reason = f"{schedule.operation!r} is no operation of account {schedule.account} (there are: {known})"
        return config.fault_at("schedules", schedule.name, "operation", reason=reason)
    try:
        operation.check_params(schedule.params_at(0.0))
    except ParameterError as error:
        return config.fault_at("schedules", schedule.name, "params", reason=str(error))
    return None


def known_settings(config: Config) -> dict[str, Mapping[str, Setting]]:
    """The settings that each provider knows, by its name; built-in ones alone where the operator's are broken."""
    try:
        registry = Registry.load(config.providers.folders)
    except SpecError:
        registry = Registry.load()
    return {name: registry.get(name).spec.account for name in registry.names()}


def secrets_of(accounts: Mapping[str, BoundAccount]) -> set[str]:
    """Every value that must never be shown."""
    return {secret for account in accounts.values() for secret in account.secrets}
