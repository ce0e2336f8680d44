"""The checks of what people set: an account's settings and a job's parameters, every fault at once."""

from collections.abc import Iterator, Mapping

from app.domain.jsonvalue import Json
from app.providers.extract import as_text
from app.providers.faults import Fault, ParameterError, SettingsError
from app.providers.operation import holds, urls_of
from app.providers.requests import url_names
from app.providers.spec.fields import UnfitError
from app.providers.spec.provider import OperationSpec
from app.providers.spec.values import Setting, ValueSpec


def check_params(spec: OperationSpec, raw: Mapping[str, Json]) -> dict[str, Json]:
    """A job's parameters, typed and with defaults.

    Raises:
        ParameterError: unknown, missing, not permitted, or given where another parameter rules it out.
    """
    faults = list(_unknown(spec.params, raw, "parameter"))
    values = _checked(spec.params, raw, faults)
    faults += _out_of_place(spec.params, raw, values, faults)
    faults += _unfit_for_urls(spec, values)
    faults += _missing(spec.params, values, faults)
    if faults:
        raise ParameterError(faults)
    return values


def check_settings(account: str, specs: Mapping[str, Setting], raw: Mapping[str, Json]) -> dict[str, Json]:
    """An account's settings, typed and with defaults.

    A setting that the others rule out (a token where HTTP Basic is used) is checked but does no harm.

    Raises:
        SettingsError: unknown, missing, of a wrong type, or not permitted.
    """
    faults = list(_unknown(specs, raw, "setting"))
    values = _checked(specs, raw, faults)
    faults += [Fault("", name, "is empty") for name, value in values.items() if isinstance(value, str) and not value]
    faults += [
        # A secret that was read from a file often brings its line break along.
        Fault("", name, "holds a line break or another control character")
        for name, value in values.items()
        if isinstance(value, str) and any(character < " " or character == "\x7f" for character in value)
    ]
    faults += _missing(specs, values, faults)
    if faults:
        raise SettingsError(Fault(f"account {account}", fault.key, fault.reason) for fault in faults)
    return values


def _unknown(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], what: str) -> Iterator[Fault]:
    known = ", ".join(specs) or "none"
    return (Fault("", name, f"unknown {what} (there are: {known})") for name in raw if name not in specs)


def _checked(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], faults: list[Fault]) -> dict[str, Json]:
    """The values that can be used; what is wrong with the others is added to ``faults``."""
    values: dict[str, Json] = {}
    for name, spec in specs.items():
        given = raw.get(name)
        if given is None:
            continue
        try:
            values[name] = spec.checked(given)
        except UnfitError as error:
            faults.append(Fault("", name, str(error)))
    # A default that depends on another value comes after those that do not.
    for name, spec in sorted(specs.items(), key=lambda item: bool(item[1].when)):
        if name not in values and raw.get(name) is None and spec.default is not None and holds(spec.when, values):
            values[name] = spec.checked(spec.default)
    return {name: values[name] for name in specs if name in values}


def _missing(specs: Mapping[str, ValueSpec], values: Mapping[str, Json], faults: list[Fault]) -> list[Fault]:
    known_wrong = {fault.key for fault in faults}
    return [
        Fault("", name, f"is missing{_condition(spec)}: {spec.help}")
        for name, spec in specs.items()
        if spec.required and name not in values and name not in known_wrong and holds(spec.when, values)
    ]


def _out_of_place(
    specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], values: Mapping[str, Json], faults: list[Fault]
) -> list[Fault]:
    known_wrong = {fault.key for fault in faults}
    return [
        Fault("", name, f"is not used{_condition(spec, 'unless')}")
        for name, spec in specs.items()
        if raw.get(name) is not None and not holds(spec.when, values) and known_wrong.isdisjoint(spec.when)
    ]


def _condition(spec: ValueSpec, word: str = "where") -> str:
    every = " and ".join(f"{name} is {as_text(value)}" for name, value in spec.when.items())
    return f" {word} {every}" if every else ""


def _unfit_for_urls(spec: OperationSpec, values: Mapping[str, Json]) -> list[Fault]:
    in_urls = frozenset().union(*(url_names(url) for url in urls_of(spec)))
    return [
        Fault("", name, f"{value!r} cannot be a part of a URL")
        for name, value in values.items()
        if name in in_urls and isinstance(value, str) and value.strip(".") == ""
    ]
