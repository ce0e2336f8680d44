"""The checks of what people set: an account's settings and a job's parameters, every fault at once."""

from collections.abc import Iterator, Mapping

from app.domain.jsonvalue import Json
from app.providers.faults import Fault, ParameterError, SettingsError
from app.providers.operation import urls_of
from app.providers.requests import path_names, url_names
from app.providers.spec.provider import OperationSpec
from app.providers.spec.tables import find_missing, find_out_of_place, find_unknown, fit, given
from app.providers.spec.values import Problems, Setting


def check_params(spec: OperationSpec, raw: Mapping[str, Json]) -> dict[str, Json]:
    """A job's parameters, typed and with defaults.

    Raises:
        ParameterError: unknown, missing, not permitted, or given where another parameter rules it out; of a fault
            inside an object or array the key is a path.
    """
    problems: Problems = []
    find_unknown(spec.params, raw, "parameter", "", problems)
    named = given(spec.params, raw, "", problems)
    fitted = fit(spec.params, named, "", problems)
    find_out_of_place(spec.params, named, fitted, "", problems)
    problems += _unfit_for_urls(spec, fitted.values)
    find_missing(spec.params, fitted, "", problems)
    if problems:
        raise ParameterError(Fault("", key, reason) for key, reason in problems)
    return fitted.values


def unlisted_values(spec: OperationSpec, params: Mapping[str, Json]) -> Problems:
    """The checked parameters that will be sent although the spec does not list them: where, and what a person reads."""
    return [
        problem
        for name, value in params.items()
        if name in spec.params
        for problem in spec.params[name].unlisted(value, name)
    ]


def check_settings(account: str, specs: Mapping[str, Setting], raw: Mapping[str, Json]) -> dict[str, Json]:
    """An account's settings, typed and with defaults.

    A setting that the others rule out (a token where HTTP Basic is used) is checked but does no harm.

    Raises:
        SettingsError: unknown, missing, of a wrong type, or not permitted.
    """
    problems: Problems = []
    find_unknown(specs, raw, "setting", "", problems)
    fitted = fit(specs, given(specs, raw, "", problems), "", problems)
    values = fitted.values
    problems += [(name, "is empty") for name, value in values.items() if isinstance(value, str) and not value]
    problems += [
        # A secret that was read from a file often brings its line break along.
        (name, "holds a line break or another control character")
        for name, value in values.items()
        if isinstance(value, str)
        and specs[name].type != "private_key"
        and any(character < " " or character == "\x7f" for character in value)
    ]
    find_missing(specs, fitted, "", problems)
    if problems:
        raise SettingsError(Fault(f"account {account}", key, reason) for key, reason in problems)
    return values


def _unfit_for_urls(spec: OperationSpec, values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    in_urls = frozenset().union(*(url_names(url) for url in urls_of(spec)))
    in_paths = frozenset().union(*(path_names(url) for url in urls_of(spec)))
    for name, value in values.items():
        if name not in in_urls or not isinstance(value, str):
            continue
        parts = value.removeprefix("/").split("/") if name in in_paths else [value]
        # Such a segment is removed, or names another one: RFC 3986, section 5.2.4.
        if any(part.strip(".") == "" for part in parts):
            why = "has a segment that is empty or made of dots, and" if len(parts) > 1 else ""
            yield name, f"{value!r} {why} cannot be a part of a URL".replace("  ", " ")
