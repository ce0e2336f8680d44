"""The form that asks for an export: its fields are made from the parameters of an operation.

An empty field is the same as an absent parameter. The texts of the fields are checked as those of the command line are.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tidewaiter.domain.formatting import visible, written
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job_labels import label_faults
from tidewaiter.patterns import compile_pattern
from tidewaiter.providers.spec.parameter_spec import ParameterSpec
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.providers.steps.parameters import parameter_schema
from tidewaiter.services import JobRequestFault

PREFIX: Final = "p."
"""The name of a field is that of its parameter after this prefix."""
LABELS: Final = "labels"
UNIQUE_KEY: Final = "unique_key"
LONGEST_KEY: Final = 255

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_A_DATE: Final = "2026-01-31"
_NO_DATES: Final = ("x", "2026", "2026-01-31T00:00:00Z", "31.01.2026")


class FieldKind(StrEnum):
    """How a value is entered."""

    CHOICE = "choice"
    SUGGESTED = "suggested"
    """As a text, with the known values as suggestions."""
    BOOLEAN = "boolean"
    NUMBER = "number"
    DATE = "date"
    TEXT = "text"
    LINES = "lines"
    """One value in a line."""
    JSON = "json"
    MASKED = "masked"
    """A value that the page never holds."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A field for one parameter.

    ``text`` is what the field holds, ``default`` what an empty field means. ``schema`` is the JSON Schema of a nested
    value. ``condition`` says for which values of other parameters this one is used. ``keeps``: an empty field means the
    secret of the job or schedule that the values are of.
    """

    name: str
    kind: FieldKind
    help: str
    is_required: bool
    text: str
    choices: Sequence[str]
    default: str | None
    condition: str | None
    schema: str | None
    fault: str | None
    keeps: bool = False


def form_fields(
    spec: OperationSpec,
    texts: Mapping[str, str],
    faults: Mapping[str, str] | None = None,
    kept: Collection[str] = (),
) -> list[FormField]:
    """The fields for the parameters of an operation.

    Args:
        spec: the operation.
        texts: what the fields hold, by the names of the parameters.
        faults: what is wrong with them.
        kept: the names of secrets that an empty field leaves as they are.
    """
    schemas, wrong = parameter_schema(spec)["properties"], faults or {}
    fields = [
        _field(name, one, texts.get(name, ""), schemas[name], wrong.get(name)) for name, one in spec.params.items()
    ]
    return [replace(one, keeps=True, is_required=False) if one.name in kept else one for one in fields]


def _field(name: str, spec: ParameterSpec, text: str, schema: Mapping[str, object], fault: str | None) -> FormField:
    kind = _kind_of(spec)
    if spec.secret:
        text = ""
    if (kind is FieldKind.DATE and text and not _DATE.fullmatch(text)) or (
        kind is FieldKind.CHOICE and text and text not in spec.enum
    ):
        kind = FieldKind.TEXT  # the browser would empty the field
    return FormField(
        name,
        kind,
        spec.help,
        is_required=spec.required and spec.default is None and not spec.when,
        text=text,
        choices=spec.enum,
        default=None if spec.default is None else written(spec.default),
        condition=" and ".join(f"{other} is {written(value)}" for other, value in spec.when.items()) or None,
        schema=json.dumps(schema, indent=2, ensure_ascii=False) if kind is FieldKind.JSON else None,
        fault=fault,
    )


def _kind_of(spec: ParameterSpec) -> FieldKind:
    if spec.secret:
        return FieldKind.MASKED
    simple = {"boolean": FieldKind.BOOLEAN, "integer": FieldKind.NUMBER, "object": FieldKind.JSON}
    if spec.type in simple:
        return simple[spec.type]
    if spec.type == "array":
        is_flat = spec.items is not None and spec.items.type in ("string", "integer")
        return FieldKind.LINES if is_flat else FieldKind.JSON
    if spec.enum:
        return FieldKind.SUGGESTED if spec.more else FieldKind.CHOICE
    return FieldKind.DATE if _is_date(spec) else FieldKind.TEXT


def _is_date(spec: ParameterSpec) -> bool:
    """Whether a parameter takes a date and nothing else: by its pattern, or else by its example."""
    if spec.pattern is None:
        return isinstance(spec.example, str) and _DATE.fullmatch(spec.example) is not None
    pattern = compile_pattern(spec.pattern)
    return bool(pattern.matches(_A_DATE)) and not any(pattern.matches(text) for text in _NO_DATES)


def texts_of(spec: OperationSpec, params: Mapping[str, Json]) -> dict[str, str]:
    """The texts of fields that hold these parameters, without secrets and those that a page cannot show as they are."""
    known = {name: spec.params[name] for name in params if name in spec.params}
    texts = {name: _text_of(one, params[name]) for name, one in known.items() if not one.secret}
    return {name: text for name, text in texts.items() if visible(text) == text}


def _text_of(spec: ParameterSpec, value: Json) -> str:
    if isinstance(value, list) and _kind_of(spec) is FieldKind.LINES:
        lines = [written(one) for one in value]
        if not any("\n" in line or line != line.strip() or not line for line in lines):
            return "\n".join(lines)
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return written(value)


def texts_in(form: Mapping[str, str]) -> dict[str, str]:
    """The texts of the parameters' fields in a filled form, by the names of the parameters."""
    return {name.removeprefix(PREFIX): text for name, text in form.items() if name.startswith(PREFIX)}


def params_of(spec: OperationSpec, texts: Mapping[str, str]) -> dict[str, Json]:
    """The parameters that the texts of fields mean, as they are given to the service, which checks them."""
    params: dict[str, Json] = {}
    for name, text in texts.items():
        if text:
            in_lines = name in spec.params and _kind_of(spec.params[name]) is FieldKind.LINES
            params[name] = _lines(text) if in_lines and not text.startswith("[") else text
    return params


def _lines(text: str) -> list[Json]:
    return [line.strip() for line in text.split("\n") if line.strip()]


@dataclass(frozen=True, slots=True)
class FormFaults:
    """What is wrong with a form: by parameter, with the unique key, with the labels, and with the rest."""

    params: Mapping[str, str]
    unique_key: str | None
    labels: str | None
    others: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.params or self.unique_key or self.labels or self.others)


NO_FAULTS: Final = FormFaults({}, None, None, ())


def faults_by_field(spec: OperationSpec, faults: Sequence[JobRequestFault]) -> FormFaults:
    """The faults that the service has found, by the fields of the form."""
    by_name: dict[str, list[str]] = {}
    others: list[str] = []
    for fault in faults:
        name = re.split(r"[.\[]", fault.path, maxsplit=1)[0]
        if name in spec.params:
            by_name.setdefault(name, []).append(fault.reason if fault.path == name else str(fault))
        else:
            others.append(str(fault))
    return FormFaults({name: "; ".join(reasons) for name, reasons in by_name.items()}, None, None, others)


def own_faults(form: Mapping[str, str], labels: Mapping[str, str]) -> FormFaults:
    """What is wrong with a form before the service sees it."""
    hidden = "holds invisible characters, which this form would change; use the command line or the API for it"
    key = form.get(UNIQUE_KEY, "")
    faulty_key = None
    if visible(key) != key or "\n" in key or "\t" in key:
        faulty_key = "must have no control characters"
    elif len(key) > LONGEST_KEY:
        faulty_key = f"has {len(key)} characters; {LONGEST_KEY} are permitted"
    return FormFaults(
        {name: hidden for name, text in texts_in(form).items() if visible(text) != text},
        faulty_key,
        "; ".join(f"{name}: {why}" if name else why for name, why in label_faults(labels)) or None,
        (),
    )


def labels_of(text: str) -> dict[str, str]:
    """The labels of a text with one ``name=value`` in a line; a line without ``=`` is a name without a value."""
    return dict(_pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in _lines(text):
        name, _, value = str(line).partition("=")
        yield name.strip(), value.strip()


def text_of_labels(labels: Mapping[str, str]) -> str:
    """The text of a field that holds these labels."""
    return "\n".join(f"{name}={value}" for name, value in labels.items())
