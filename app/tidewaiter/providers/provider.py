"""A provider, and an account that is bound to it, with compiled operations and a probe."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Self, TypeAlias
from urllib.parse import urlsplit

from tidewaiter.domain.backoff_and_limits import USUAL_BOUNDS, Backoff, Bounds, Limits, OperationPolicy
from tidewaiter.domain.http_values import Json, WireReply, WireRequest
from tidewaiter.domain.outcome import Refused, Unauthorized
from tidewaiter.domain.own_origins import ANY_LABEL, DeclaredOrigin, OwnOrigins
from tidewaiter.domain.url import AddressError, sendable
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.checks.spec_lint import read_spec
from tidewaiter.providers.checks.spec_traps import places_of
from tidewaiter.providers.credentials.auth import AccountAuth, compile_auth
from tidewaiter.providers.credentials.login_replies import LoginSession
from tidewaiter.providers.credentials.own_credentials import OwnCredentials
from tidewaiter.providers.errors import SettingsError, SpecError, SpecFault, UnsendableError
from tidewaiter.providers.replies.extract import compile_pick
from tidewaiter.providers.replies.limit_spent import LimitReader
from tidewaiter.providers.replies.messages import Messages
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_defaults import Trouble, is_success, provider_trouble
from tidewaiter.providers.replies.reply_headers import retry_after
from tidewaiter.providers.replies.reply_limits import limit_headers
from tidewaiter.providers.replies.reply_rules import Rules
from tidewaiter.providers.replies.xml_replies import XmlForm, xml_form
from tidewaiter.providers.requests.request_building import NO_JOB, ORIGINS, compile_request
from tidewaiter.providers.results.result_sharing import sharing_of
from tidewaiter.providers.spec.account_overrides import LimitsOverride, ScheduleOverride
from tidewaiter.providers.spec.body_spec import UploadSpec
from tidewaiter.providers.spec.field_types import holds
from tidewaiter.providers.spec.limits_spec import LimitsSpec
from tidewaiter.providers.spec.provider_spec import (
    OperationSpec,
    ProviderSpec,
)
from tidewaiter.providers.spec.schedule_specs import AgainSpec, CallbackSpec, ScheduleSpec
from tidewaiter.providers.steps.compiled_operation import AccountParts, CompiledOperation
from tidewaiter.providers.steps.compiled_steps import Steps, compile_steps
from tidewaiter.providers.steps.parameters import check_settings, names_as_written
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.providers.values.template import STAND_IN_DOMAIN, Fixed, compile_text, stand_in, url_part

_LOGIN_BASE: Final = re.compile(r"\$\{login\.([a-z][a-z0-9_]*)\}")
"""A base URL that a login names begins with such a reference."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """The account works."""


Probed: TypeAlias = Healthy | Trouble


@dataclass(frozen=True, slots=True)
class Probe:
    """The request, and how its reply is read."""

    request: WireRequest
    rules: Rules = field(repr=False)
    messages: Messages = field(repr=False)
    xml: XmlForm | None = None

    def keys_hit(self, reply: WireReply | None) -> Iterator[str]:
        """The keys of the spec that an exchange uses: the probe, and the rule that its reply matches."""
        yield "probe"
        verdict = None if reply is None else self.rules.judge(Reading(reply, xml=self.xml))
        if verdict is not None:
            yield verdict.key

    def read(self, reply: WireReply, now: float) -> Probed:
        """Whether the account works, or why not; ``now`` is epoch seconds."""
        reading = Reading(reply, xml=self.xml)
        verdict = self.rules.judge(reading)
        reason = self.messages.reason(reading)
        effect = None if verdict is None else verdict.effect
        if effect == "unauthorized":
            return Unauthorized(reason)
        if effect == "failed":
            return Refused(reason)
        if effect == "healthy" or is_success(reading.status):
            return Healthy()
        return provider_trouble(reading.status, reason, retry_after(reading.headers, now))


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of remote API, as its spec describes it; ``source`` is the text of the spec, ``file`` its path."""

    spec: ProviderSpec
    source: str = field(repr=False)
    file: str

    @classmethod
    def read(cls, text: str, file: str) -> Self:
        """The provider that a spec's text describes; ``file`` is what messages call it.

        Raises:
            SpecError: it lists every fault.
        """
        spec, faults = read_spec(file, text)
        if spec is None:
            raise SpecError(faults)
        return cls(spec, text, file)

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
        """The names of its operations."""
        return tuple(self.spec.operations)

    @property
    def sends_files(self) -> bool:
        """Whether a request sends a file of the operator's folders."""
        files = (place.table for place in places_of(self.spec, {}) if isinstance(place.table, UploadSpec))
        return any(file.from_file is not None for file in files)

    def bind(
        self,
        account: str,
        settings: Mapping[str, Json],
        *,
        limits: LimitsOverride | None = None,
        schedule: ScheduleOverride | None = None,
        clean: bool | None = None,
        bounds: Bounds | None = None,
    ) -> "BoundAccount":
        """An account at this provider, with its operations compiled.

        Args:
            account: its name.
            settings: its values, secrets included.
            limits: the operator's limits; the spec's apply if they are not set.
            schedule: the operator's polling times, for every operation.
            clean: whether remote jobs are deleted once their files have landed; ``None`` leaves it to the spec.
            bounds: the most that is accepted from the provider.

        Raises:
            SettingsError: it lists every fault.
        """
        spec = self.spec
        values = check_settings(account, spec.account, settings)
        faults = [*_stall_faults(spec, schedule), *_clean_faults(spec, clean)]
        secrets = frozenset(str(values[name]) for name, one in spec.account.items() if one.secret and name in values)
        # A setting that other settings rule out counts as absent, for texts that list alternatives.
        values = {name: value for name, value in values.items() if holds(spec.account[name].when, values)}
        base_url = self._base_url(values, faults)
        origins, bases = self._origins(base_url, values, faults)
        compiled = {**values, **bases}
        schedule = schedule or ScheduleOverride()
        steps = self._steps(base_url, compiled, faults)
        auth = (
            compile_auth(spec, base_url, values, secrets, faults, origins=origins)
            if origins.main
            else AccountAuth(Redactor(secrets))
        )
        messages = Messages(compile_pick(spec.error), auth.redactor, auth.credentials.signer)
        probe = _probe(spec, base_url, compiled, messages, faults)
        if faults:
            raise SettingsError(SpecFault(f"account {account}", fault.key, fault.reason) for fault in faults)
        own = OwnCredentials.of(origins, (auth.credentials, *auth.named.values()), auth.session, auth.redactor)
        shared = AccountParts(origins, messages, bounds or USUAL_BOUNDS, own)
        operations = {
            name: self.operation(
                CompiledOperation(
                    name,
                    policy=replace(_policy(one, schedule, clean), stages=steps[name].stages()),
                    spec=names_as_written(one, values),
                    steps=steps[name].reusing(schedule.reuse_within_s),
                    account=shared,
                    sharing=sharing_of(one.answers),
                ),
                values,
            )
            for name, one in spec.operations.items()
        }
        return BoundAccount(
            name=account,
            provider=self,
            base_url=base_url,
            origins=origins,
            auth=auth,
            limits=(permitted := _limits(spec.limits, limits or LimitsOverride())),
            limit_headers=limit_headers(spec.limits.headers, permitted),
            operations=MappingProxyType(operations),
            probe=probe,
            shown_settings={name: None if spec.account[name].secret else value for name, value in values.items()},
        )

    def operation(
        self,
        parts: CompiledOperation,
        settings: Mapping[str, Json],  # noqa: ARG002  # for those who override it
    ) -> BoundOperation:
        """One operation of an account. A provider in Python overrides this to return a class of its own.

        Args:
            parts: what the spec says about the operation, compiled; ``parts.name`` is its name.
            settings: the account's settings, secrets included.
        """
        return BoundOperation(parts)

    def _base_url(self, values: Mapping[str, Json], faults: list[SpecFault]) -> str:
        """The base URL without a slash at its end: the first one whose settings all have values."""
        try:
            url = next((url for one in self.spec.base_url if (url := self._filled(one, values))), "")
            url = url if url.isascii() else sendable(url)
        except (UnsendableError, AddressError) as error:
            faults.append(SpecFault("", "base_url", str(error)))
            return ""
        if not origin_of(url):
            faults.append(SpecFault("", "base_url", f"{url!r} is not an http or https address"))
        return url

    def _origins(
        self, base_url: str, values: Mapping[str, Json], faults: list[SpecFault]
    ) -> tuple[OwnOrigins, dict[str, Json]]:
        """The origins of the account, and their URLs as bases of requests, by their names in the settings."""
        declared, bases = list[DeclaredOrigin](), dict[str, Json]()
        for name, one in self.spec.origins.items():
            if one.url.startswith(ANY_LABEL):
                sample = origin_of(one.url.replace(ANY_LABEL, "https://x.", 1))
                declared.append(DeclaredOrigin(sample.replace("https://x.", ANY_LABEL, 1), one.auth))
                continue
            url = self._filled(one.url, values)
            if not origin_of(url) or "*" in url or "%" in urlsplit(url).netloc:
                faults.append(SpecFault("", f"origins.{name}", f"{url!r} is not the address of one host"))
            declared.append(DeclaredOrigin(origin_of(url), one.auth))
            bases[f"{ORIGINS}{name}"] = url
        return OwnOrigins(origin_of(base_url), tuple(declared)), bases

    def _filled(self, template: str, values: Mapping[str, Json]) -> str:
        """A base URL with its settings, empty if one is missing; a setting of type ``url`` is not encoded."""
        before = ""
        if (found := _LOGIN_BASE.match(template)) is not None:
            before, template = f"https://{stand_in(found[1])}", template[found.end() :]
        for name, one in self.spec.account.items():
            start = f"${{account.{name}}}"
            if one.type == "url" and template.startswith(start):
                if name not in values:
                    return ""
                before, template = str(values[name]), template.removeprefix(start)
        node = compile_text(template, values, url_part, before=before)
        return str(node.value).rstrip("/") if isinstance(node, Fixed) and node.value is not None else ""

    def _steps(self, base_url: str, values: Mapping[str, Json], faults: list[SpecFault]) -> dict[str, Steps]:
        try:
            return {
                name: compile_steps(one, base_url, values, f"operations.{name}", self.spec.reply)
                for name, one in self.spec.operations.items()
            }
        except UnsendableError as error:
            faults.append(SpecFault("", "", str(error)))
            return {}


@dataclass(frozen=True, slots=True)
class BoundAccount:
    """An account at its provider, ready to use. ``probe`` is ``None`` where the provider has no such request.

    ``shown_settings`` are its settings, with ``None`` in place of each secret.
    """

    name: str
    provider: Provider = field(repr=False)
    base_url: str
    origins: OwnOrigins
    auth: AccountAuth = field(repr=False)
    limits: Limits
    limit_headers: LimitReader | None
    operations: Mapping[str, BoundOperation]
    probe: Probe | None = field(default=None, repr=False)
    shown_settings: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def origin(self) -> str:
        """The origin of the base URL as ``https://host:port``."""
        return self.origins.main

    @property
    def first_url(self) -> str:
        """An address that can be asked before a login: the base URL, or that of the login which names the base."""
        session = self.auth.session
        if STAND_IN_DOMAIN in self.origin and isinstance(session, LoginSession):
            return session.login(0.0, "").url
        return self.base_url

    @property
    def replaced_token(self) -> str | None:
        """The setting with a refresh token that a login replaces; ``None`` if it has none."""
        session = self.auth.session
        refresh = session.refresh if isinstance(session, LoginSession) else None
        return refresh.setting if refresh is not None and refresh.rotates else None


def _probe(
    spec: ProviderSpec, base_url: str, values: Mapping[str, Json], messages: Messages, faults: list[SpecFault]
) -> Probe | None:
    if spec.probe is None:
        return None
    try:
        request = compile_request(spec.probe, base_url, values)(NO_JOB, None)
    except UnsendableError as error:
        faults.append(SpecFault("", "probe", str(error)))
        return None
    return Probe(request, Rules(spec.probe.rules, "probe.rules"), messages, xml_form(spec.probe.reply, spec.reply))


def _limits(spec: LimitsSpec, override: LimitsOverride) -> Limits:
    """The operator's limits, else those of the spec, else the defaults."""
    return Limits(**(spec.model_dump(exclude={"headers"}, exclude_none=True) | override.model_dump(exclude_none=True)))


def _policy(spec: OperationSpec, override: ScheduleOverride, clean: bool | None) -> OperationPolicy:
    schedule: ScheduleSpec = spec.schedule
    called = spec.callback or CallbackSpec()
    interval_s = override.interval_s or schedule.interval_s
    cap_s = _longest_interval_s(schedule, override)
    floor_s = schedule.retry_after_floor_s if override.retry_after_floor_s is None else override.retry_after_floor_s
    poll = Backoff(interval_s, override.factor or schedule.factor, cap_s)
    return OperationPolicy(
        first_delay_s=schedule.first_delay_s if override.first_delay_s is None else override.first_delay_s,
        poll=poll,
        # The operator's values also apply to jobs that expect a callback.
        called_first_delay_s=called.first_delay_s if override.first_delay_s is None else override.first_delay_s,
        called_poll=poll
        if override.interval_s
        else Backoff(called.interval_s, override.factor or called.factor, override.cap_s or called.cap_s),
        deadline_s=override.deadline_s or schedule.deadline_s,
        stall_s=override.stall_s or _stall_s(schedule, cap_s),
        gone_grace_s=schedule.gone_grace_s,
        links_expire_s=override.links_expire_s or schedule.links_expire_s,
        retry_after_floor_s=floor_s,
        # One of the two may come from the operator and the other from the spec.
        retry_after_cap_s=max(floor_s, override.retry_after_cap_s or schedule.retry_after_cap_s),
        most_unknown=override.most_unknown or schedule.most_unknown,
        again=_again(spec.again or AgainSpec(), override),
        most_agains=(spec.again or AgainSpec()).times if override.again_times is None else override.again_times,
        links_add_up=any(one.only_new for one in spec.results),
        repeatable=spec.repeatable,
        cancels=bool(spec.cancel),
        shares=any("duplicate" in (rule.then, *rule.words.values()) for one in spec.submit for rule in one.rules),
        reuses=bool(spec.reuse),
        cleans=any(one.by_default if clean is None else clean for one in spec.cleanup),
        learn=schedule.learn if override.learn is None else override.learn,
        learn_by=schedule.learn_by,
    )


def _again(spec: AgainSpec, override: ScheduleOverride) -> Backoff:
    """The waits before a job is submitted again; an operator's wait may be longer than the spec's cap."""
    wait_s = override.again_wait_s or spec.wait_s
    cap_s = override.again_cap_s or max(spec.cap_s, wait_s)
    return Backoff(min(wait_s, cap_s), override.again_factor or spec.factor, cap_s, jitter=0.0)


def _stall_s(schedule: ScheduleSpec, cap_s: float) -> float:
    """When a job has stalled. With longer intervals than in the spec this is at least two polls."""
    return math.inf if schedule.stall_s is None else max(schedule.stall_s, 2 * cap_s if cap_s > schedule.cap_s else 0.0)


def _stall_faults(spec: ProviderSpec, override: ScheduleOverride | None) -> Iterator[SpecFault]:
    """A ``stall_s`` that is not longer than one interval between two polls."""
    if override is None or override.stall_s is None:
        return
    for name, one in spec.operations.items():
        called_s = one.callback.cap_s if one.callback else 0.0
        longest_s = max(_longest_interval_s(one.schedule, override), called_s)
        if one.poll and override.stall_s <= longest_s:
            reason = (
                f"{override.stall_s:g} is not more than {longest_s:g}, the longest interval between polls of {name}"
            )
            yield SpecFault("", "schedule.stall_s", reason)


def _longest_interval_s(schedule: ScheduleSpec, override: ScheduleOverride) -> float:
    """The longest interval between polls; an operator's interval may be longer than the spec's cap."""
    return override.cap_s or max(schedule.cap_s, override.interval_s or schedule.interval_s)


def _clean_faults(spec: ProviderSpec, clean: bool | None) -> Iterator[SpecFault]:
    if clean and not any(operation.cleanup for operation in spec.operations.values()):
        yield SpecFault("", "clean", f"{spec.title} has no request that deletes a remote job")
