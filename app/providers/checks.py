"""The checks of what people set: an account's settings and a job's parameters, every fault at once."""

from collections.abc import Iterator, Mapping

from app.domain.jsonvalue import Json
from app.providers.faults import Fault, ParameterError, SettingsError
from app.providers.operation import urls_of
from app.providers.requests import url_names
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
    return (
        (name, f"{value!r} cannot be a part of a URL")
        for name, value in values.items()
        if name in in_urls and isinstance(value, str) and value.strip(".") == ""
    )
