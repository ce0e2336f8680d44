"""A provider, and an account bound to it: settings in, compiled operations out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.domain.jsonvalue import Json
from app.domain.schedule import Backoff, Limits, Policy
from app.domain.wire import Credentials
from app.providers.checks import check_settings
from app.providers.extract import compile_pick
from app.providers.faults import Fault, SettingsError, UnsendableError
from app.providers.interpreter import BoundOperation
from app.providers.messages import Messages
from app.providers.operation import Steps, compile_steps, holds
from app.providers.overrides import LimitsOverride, ScheduleOverride
from app.providers.reading import basic_credential, redactor
from app.providers.spec.provider import (
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    LimitsSpec,
    OperationSpec,
    ProviderSpec,
    QueryAuth,
    ScheduleSpec,
)
from app.providers.template import Fixed, compile_text, url_part
from app.providers.urls import origin_of


@dataclass(frozen=True, slots=True)
class BoundAccount:
    """An account on its provider, ready to be worked for.

    ``origin`` is ``https://host:port``, the only one that ``credentials`` may be sent to. ``secrets`` holds every value
    that must never be shown: those of the secret settings, and what HTTP Basic makes of them.
    """

    name: str
    provider: str
    base_url: str
    origin: str
    credentials: Credentials = field(repr=False)
    limits: Limits
    secrets: frozenset[str] = field(repr=False)
    operations: Mapping[str, BoundOperation]


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of remote API, as its spec describes it; ``source`` is the text of the spec, ``file`` where it stood."""

    spec: ProviderSpec
    source: str = field(repr=False)
    file: str

    @property
    def name(self) -> str:
        """The name by which accounts refer to it."""
        return self.spec.name

    @property
    def title(self) -> str:
        """The name for people."""
        return self.spec.title

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of what it can be asked for."""
        return tuple(self.spec.operations)

    def bind(
        self,
        account: str,
        settings: Mapping[str, Json],
        *,
        limits: LimitsOverride | None = None,
        schedule: ScheduleOverride | None = None,
        clean: bool | None = None,
    ) -> BoundAccount:
        """An account on this provider, with everything compiled that can be.

        Args:
            account: its name.
            settings: its values, secrets included.
            limits: what the operator says of the limits; the spec's hold elsewhere.
            schedule: what the operator says of the polling times, for every operation.
            clean: whether remote jobs are deleted once their files have landed; ``None`` leaves it to the spec.

        Raises:
            SettingsError: it lists every fault.
        """
        spec = self.spec
        values = check_settings(account, spec.account, settings)
        faults = [*_schedule_faults(schedule), *_clean_faults(spec, clean)]
        base_url = self._base_url(values, faults)
        origin = origin_of(base_url)
        steps = self._steps(base_url, values, faults)
        if faults:
            raise SettingsError(Fault(f"account {account}", fault.key, fault.reason) for fault in faults)
        credentials, derived = _credentials(spec, values)
        secrets = derived | {str(values[name]) for name, one in spec.account.items() if one.secret and name in values}
        messages = Messages(compile_pick(spec.error), redactor(secrets))
        operations = {
            name: BoundOperation(
                name=name,
                policy=_policy(one, schedule or ScheduleOverride(), clean),
                media_type=one.media_type,
                origin=origin,
                spec=one,
                steps=steps[name],
                messages=messages,
            )
            for name, one in spec.operations.items()
        }
        return BoundAccount(
            name=account,
            provider=spec.name,
            base_url=base_url,
            origin=origin,
            credentials=credentials,
            limits=_limits(spec.limits, limits or LimitsOverride()),
            secrets=secrets,
            operations=MappingProxyType(operations),
        )

    def _base_url(self, values: Mapping[str, Json], faults: list[Fault]) -> str:
        """The base URL without a slash at its end; a setting of type ``url`` goes into it as it is."""
        template = self.spec.base_url
        before = ""
        for name, one in self.spec.account.items():
            start = f"${{account.{name}}}"
            if one.type == "url" and template.startswith(start):
                before, template = str(values.get(name)), template.removeprefix(start)
        try:
            node = compile_text(template, values, url_part, before=before)
        except UnsendableError as error:
            faults.append(Fault("", "base_url", str(error)))
            return ""
        url = str(node.value).rstrip("/") if isinstance(node, Fixed) else ""
        if not origin_of(url):
            faults.append(Fault("", "base_url", f"{url!r} is not an http or https address"))
        return url

    def _steps(self, base_url: str, values: Mapping[str, Json], faults: list[Fault]) -> dict[str, Steps]:
        try:
            return {
                name: compile_steps(one, base_url, values, f"operations.{name}")
                for name, one in self.spec.operations.items()
            }
        except UnsendableError as error:
            faults.append(Fault("", "", str(error)))
            return {}


def _credentials(spec: ProviderSpec, values: Mapping[str, Json]) -> tuple[Credentials, frozenset[str]]:
    """What proves the account, and which secrets that made beside the settings themselves."""

    def text(template: str) -> str:
        node = compile_text(template, values)
        return str(node.value) if isinstance(node, Fixed) else ""

    chosen = next((one for one in spec.auth if holds(one.when, values)), None)
    match chosen:
        case BasicAuth():
            credential = basic_credential(text(chosen.username), text(chosen.password))
            return Credentials({"Authorization": f"Basic {credential}"}), frozenset({credential})
        case BearerAuth():
            return Credentials({"Authorization": f"Bearer {text(chosen.token)}"}), frozenset()
        case HeaderAuth():
            return Credentials({chosen.name: text(chosen.value)}), frozenset()
        case QueryAuth():
            return Credentials(query=((chosen.name, text(chosen.value)),)), frozenset()
        case _:
            return Credentials(), frozenset()


def _limits(spec: LimitsSpec, override: LimitsOverride) -> Limits:
    return Limits(
        requests=_first(override.requests, spec.requests),
        period_s=override.period_s or spec.period_s,
        spacing_s=spec.spacing_s if override.spacing_s is None else override.spacing_s,
        concurrency=override.concurrency or spec.concurrency,
    )


def _first(override: int | None, proposed: int | None) -> int | None:
    return proposed if override is None else override


def _policy(spec: OperationSpec, override: ScheduleOverride, clean: bool | None) -> Policy:
    said: ScheduleSpec = spec.schedule
    interval_s = override.interval_s or said.interval_s
    return Policy(
        first_delay_s=said.first_delay_s if override.first_delay_s is None else override.first_delay_s,
        poll=Backoff(
            interval_s,
            override.factor or said.factor,
            # An interval set above the spec's cap is meant to be kept.
            override.cap_s or max(said.cap_s, interval_s),
        ),
        deadline_s=override.deadline_s or said.deadline_s,
        gone_grace_s=said.gone_grace_s,
        retry_after_floor_s=said.retry_after_floor_s,
        retry_after_cap_s=said.retry_after_cap_s,
        repeatable=spec.repeatable,
        cancels=bool(spec.cancel),
        cleans=any(one.by_default if clean is None else clean for one in spec.cleanup),
    )


def _schedule_faults(override: ScheduleOverride | None) -> Iterator[Fault]:
    if override is None or override.cap_s is None or override.interval_s is None:
        return
    if override.cap_s < override.interval_s:
        yield Fault("", "schedule.cap_s", f"{override.cap_s} is less than interval_s, {override.interval_s}")


def _clean_faults(spec: ProviderSpec, clean: bool | None) -> Iterator[Fault]:
    if clean and not any(operation.cleanup for operation in spec.operations.values()):
        yield Fault("", "clean", f"{spec.title} has no request that deletes a remote job")
