"""Accounts of the configuration bound to their providers, and its recurring schedules."""

from collections.abc import Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from tidewaiter.config import Config, ConfigError
from tidewaiter.config.origins import ConfigFault
from tidewaiter.domain.backoff_and_limits import Bounds
from tidewaiter.domain.secret_params import without_secrets
from tidewaiter.providers.bound_accounts import BoundAccounts, faulty_among
from tidewaiter.providers.errors import ParameterError, SettingsError, SpecError, UnknownProviderError
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.providers.spec.value_spec import SettingSpec
from tidewaiter.providers.steps.parameters import secret_names
from tidewaiter.recurrence import CatchUp, Schedule

_NEEDS_KEY: Final = (
    "its provider gives a new refresh token with each login, which is stored encrypted only: make a key with "
    '`tidewaiter db new-key | install -m 0600 /dev/stdin tidewaiter.key`, and set key_file = "tidewaiter.key" in '
    "[database]"
)


def load_providers(config: Config) -> Registry:
    """Every known provider: the built-in ones and those of the configuration's folders.

    Raises:
        ConfigError: broken specs, all of them at once.
    """
    try:
        return Registry.load(config.providers.folders)
    except SpecError as error:
        raise ConfigError.of([ConfigFault(str(one.file), one.key, one.reason) for one in error.faults]) from error


def usable_providers(config: Config) -> Registry:
    """The same as :func:`load_providers`, but a broken spec in a folder only makes its own provider unusable.

    Raises:
        ConfigError: a folder cannot be read, or a provider that is built in or of a package cannot be loaded.
    """
    try:
        return Registry.load_usable(config.providers.folders)
    except SpecError as error:
        raise ConfigError.of([ConfigFault(str(one.file), one.key, one.reason) for one in error.faults]) from error


def faults_of_specs(registry: Registry) -> dict[str, list[ConfigFault]]:
    """The faults of specs in folders, by the names of their providers. Each stops the accounts of its provider."""
    return {
        name: [ConfigFault(one.file, one.key, one.reason) for one in faults] for name, faults in registry.broken.items()
    }


def bind_accounts(config: Config, registry: Registry | None = None) -> BoundAccounts:
    """Every configured account, bound to its provider's spec; without a registry no spec may be broken.

    Raises:
        ConfigError: broken specs, unknown providers, bad settings: all of them at once.
    """
    bound, faults = bind_valid_accounts(config, registry)
    if faults:
        raise ConfigError.of(faults)
    return bound


def bind_valid_accounts(config: Config, registry: Registry | None = None) -> tuple[BoundAccounts, list[ConfigFault]]:
    """Every valid account, bound to its provider's spec, and the faults of the others.

    An account whose spec is broken in the ``registry`` is among the faulty accounts, and is no fault.

    Raises:
        ConfigError: broken specs, if no registry is given.
    """
    registry = registry or load_providers(config)
    bound = BoundAccounts()
    faults: list[ConfigFault] = []
    for name, account in config.accounts.items():
        try:
            provider = registry.get(account.provider)
            bound[name] = provider.bind(
                name,
                account.settings,
                limits=account.limits,
                schedule=account.schedule,
                clean=account.clean,
                bounds=Bounds(**account.bounds.model_dump()),
            )
            if bound[name].replaced_token is not None and not config.database.keys:
                faults.append(config.fault_at("accounts", name, "settings", reason=_NEEDS_KEY))
            if (reason := bound[name].limits.unshareable(account.shards)) is not None:
                faults.append(config.fault_at("accounts", name, "shards", reason=reason))
        except SpecError as error:
            left = len(error.faults) - 1
            more = f"; and {left} more, which `tidewaiter providers lint` shows" if left else ""
            bound.faulty[name] = f"the spec of its provider has a fault: {error.faults[0]}{more}"
        except UnknownProviderError as error:
            faults.append(config.fault_at("accounts", name, "provider", reason=str(error)))
        except SettingsError as error:
            known = registry.get(account.provider).spec.account
            for one in error.faults:
                inside = ("settings", one.key) if one.key in known or one.key in account.settings else (one.key,)
                faults.append(config.fault_at("accounts", name, *filter(None, inside), reason=one.reason))
    return bound, faults


def read_schedules(config: Config, accounts: Mapping[str, BoundAccount]) -> dict[str, Schedule]:
    """Every configured schedule, by name, except those of configured accounts that are not in ``accounts``.

    Raises:
        ConfigError: unknown accounts or operations, or bad parameters; all of them at once.
    """
    found: dict[str, Schedule] = {}
    faults: list[ConfigFault] = []
    for name, one in config.schedules.items():
        if one.account in config.accounts and one.account not in accounts:
            continue  # its operations are not known until its faults are corrected
        params, secrets = without_secrets(one.params, _secret_names(accounts, one.account, one.operation))
        zone, catch_up = ZoneInfo(one.timezone), CatchUp(one.catch_up)
        schedule = Schedule(name, one.account, one.operation, one.cron, zone, params, catch_up, secrets)
        found[name] = schedule
        faults += _faults_of_schedule(config, accounts, schedule)
    if faults:
        raise ConfigError.of(faults)
    return found


def faulty_schedules(config: Config, accounts: Mapping[str, BoundAccount]) -> dict[str, str]:
    """The schedules whose account cannot be served, because its spec has a fault, each with the account."""
    faulty = faulty_among(accounts)
    return {name: one.account for name, one in config.schedules.items() if one.account in faulty}


def _faults_of_schedule(
    config: Config, accounts: Mapping[str, BoundAccount], schedule: Schedule
) -> Iterator[ConfigFault]:
    account = accounts.get(schedule.account)
    if account is None:
        known = ", ".join(sorted(config.accounts)) or "none"
        reason = f"{schedule.account!r} is no configured account (configured: {known})"
        yield config.fault_at("schedules", schedule.name, "account", reason=reason)
        return
    operation = account.operations.get(schedule.operation)
    if operation is None:
        known = ", ".join(sorted(account.operations))
        reason = f"{schedule.operation!r} is no operation of account {schedule.account} (known: {known})"
        yield config.fault_at("schedules", schedule.name, "operation", reason=reason)
        return
    try:
        operation.check_params(schedule.with_secrets(schedule.params_at(0.0)))
    except ParameterError as error:
        for one in error.faults:
            inside = filter(None, ("params", one.key))
            yield config.fault_at("schedules", schedule.name, *inside, reason=one.reason)


def known_settings(config: Config) -> dict[str, Mapping[str, SettingSpec]]:
    """The settings that each provider knows, by its name, except providers whose spec is broken."""
    try:
        registry = Registry.load_usable(config.providers.folders)
    except SpecError:
        registry = Registry.load()
    return {name: registry.get(name).spec.account for name in registry.names()}


def account_warnings(config: Config) -> Iterator[ConfigFault]:
    """What an account asks for that its provider makes questionable."""
    registry = usable_providers(config)
    for name, account in config.accounts.items():
        if account.provider not in registry.names():
            continue
        provider = registry.get(account.provider)
        if not account.uploads and provider.sends_files:
            reason = (
                "an operation of its provider sends files, and no folder is named, so jobs of it fail; "
                "name the folders whose files may be sent"
            )
            yield config.fault_at("accounts", name, "uploads", reason=reason)
        spacing_s = account.limits.spacing_s if account.limits.spacing_s is not None else provider.spec.limits.spacing_s
        if account.shards > 1 and spacing_s:
            reason = (
                f"each of the {account.shards} lanes sends {spacing_s * account.shards:g} s apart, so spacing_s "
                f"({spacing_s:g} s) holds in the mean, and two of them may send at the same moment; use one lane if "
                "the provider refuses that"
            )
            yield config.fault_at("accounts", name, "shards", reason=reason)


def secrets_of(config: Config, accounts: Mapping[str, BoundAccount]) -> set[str]:
    """Every value of accounts and schedules that must never be shown."""
    found = {secret for account in accounts.values() for secret in account.auth.secrets}
    for one in config.schedules.values():
        found.update(without_secrets(one.params, _secret_names(accounts, one.account, one.operation))[1].values())
    return found


def unsealed_secrets(config: Config) -> Iterator[ConfigFault]:
    """A warning for each account with secret parameters, if no key encrypts them in the database."""
    if config.database.keys:
        return
    try:
        accounts = bind_accounts(config, usable_providers(config))
    except ConfigError:  # reported as faults
        return
    for name, account in accounts.items():
        found = sorted(one for one in account.operations if _secret_names(accounts, name, one))
        if found:
            reason = (
                f"the secret parameters of {', '.join(found)} are stored unencrypted; make a key with "
                "`tidewaiter db new-key`, and name its file in database.key_file"
            )
            yield config.fault_at("accounts", name, reason=reason)


def _secret_names(accounts: Mapping[str, BoundAccount], account: str, operation: str) -> frozenset[str]:
    bound = accounts[account].operations.get(operation) if account in accounts else None
    return frozenset() if bound is None else secret_names(bound.parts.spec)
