"""The JSON Schema of the configuration, for editors: https://json-schema.org/draft/2020-12/schema.

It covers the validation of single values, ``KEY_file`` instead of any key, and the settings of the given providers.
Rules that concern several keys are left to ``tidewaiter check-config``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from tidewaiter.config.config_tables import Config
from tidewaiter.config.table_keys import purpose_of, table_in
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec.value_spec import SettingSpec

Schema: TypeAlias = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ACCOUNT: Final = "AccountTable"
_WEB: Final = "^[Hh][Tt][Tt][Pp][Ss]?://"
# pydantic writes a constraint as it is named in Python if our own check runs before it.
_CONSTRAINTS: Final = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def config_schema(providers: Iterable[Provider] = ()) -> Schema:
    """The schema of a configuration file; accounts on these providers must fit the settings of their specs."""
    made: Schema = Config.model_json_schema()
    definitions = {name: _plain(one) for name, one in made.pop("$defs").items()}
    for one in definitions.values():
        _allow_files(one)
    _add_specs(definitions, list(providers))
    tables = _plain(made)["properties"]
    for name, key in Config.model_fields.items():
        tables[name].pop("default", None)
        if (found := table_in(key)) is not None:
            tables[name]["description"] = purpose_of(found[0]).removesuffix(".")
    return {
        "$schema": _DIALECT,
        "title": "Tidewaiter's configuration",
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _plain(node: Any) -> Any:
    """A node without null, which TOML does not have, and without titles that only repeat a name."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    node = {_CONSTRAINTS.get(name, name): value for name, value in node.items()}
    if isinstance(node.get("title"), str):
        del node["title"]
    if "default" in node and node["default"] is None:
        del node["default"]
    permitted = [one for one in node.get("anyOf", ()) if one != {"type": "null"}]
    if "anyOf" in node and len(permitted) == 1:
        del node["anyOf"]
        node = {**permitted[0], **node}
    elif permitted:
        node["anyOf"] = permitted
    if "$ref" in node:
        node.pop("default", None)
    if "patternProperties" in node:
        node["additionalProperties"] = False
    return {name: value if name in ("default", "examples", "enum") else _plain(value) for name, value in node.items()}


def _allow_files(table: Schema) -> None:
    """Let every value of a table be given by ``KEY_file``, which must not be given together with the key."""
    keys: dict[str, Schema] = table.get("properties", {})
    values = [name for name, key in keys.items() if "$ref" not in key and key.get("type") != "object"]
    for name in values:
        keys[f"{name}_file"] = _file_instead_of(name)
    table["dependentSchemas"] = {f"{name}_file": {"properties": {name: False}} for name in values}
    required = table.pop("required", [])
    if required:
        table["allOf"] = [_one_of_both(name) for name in required]


def _file_instead_of(name: str) -> Schema:
    description = f"the path of a file whose content, stripped, is the value of {name}"
    return {"type": "string", "minLength": 1, "description": description}


def _one_of_both(name: str) -> Schema:
    # Not `anyOf`: editors would only report that neither fits.
    return {"if": {"not": {"required": [f"{name}_file"]}}, "then": {"required": [name]}}


def _add_specs(definitions: dict[str, Schema], providers: list[Provider]) -> None:
    account = definitions[_ACCOUNT]
    account["properties"]["provider"]["anyOf"] = [{"enum": [one.name for one in providers]}, {"type": "string"}]
    for provider in providers:
        name = f"settings of {provider.name}"
        definitions[name] = _settings(provider.title, provider.spec.account)
        reference = {"$ref": f"#/$defs/{name.replace(' ', '%20')}"}
        has_required = any(
            one.required and one.default is None and not one.when for one in provider.spec.account.values()
        )
        account.setdefault("allOf", []).append(
            {
                "if": {"properties": {"provider": {"const": provider.name}}, "required": ["provider"]},
                "then": {"properties": {"settings": reference}, **({"required": ["settings"]} if has_required else {})},
            }
        )


def _settings(title: str, settings: Mapping[str, SettingSpec]) -> Schema:
    made: Schema = {
        "type": "object",
        "description": f"what an account of {title} needs",
        "properties": {name: _setting(one) for name, one in settings.items()},
        "required": [name for name, one in settings.items() if one.required and one.default is None and not one.when],
        "additionalProperties": False,
    }
    _allow_files(made)
    return made


def _setting(setting: SettingSpec) -> Schema:
    """One setting; looser than its check where a schema cannot express the check, as with the case of a word."""
    made: Schema = {"description": _described(setting)}
    match setting.type:
        case "boolean":
            made["type"] = ["boolean", "string"]
        case "integer":
            made["type"] = ["integer", "string"]
        case "url":
            made |= {"type": "string", "pattern": _WEB}
        case "string" if setting.enum:
            made["anyOf"] = [{"enum": list(setting.enum)}, {"type": "string"}]
        case "string" | "private_key" | "object" | "array":
            made["type"] = ["string", "integer"]
    if setting.default is not None:
        made["default"] = setting.default
    if setting.example is not None and not setting.secret:
        made["examples"] = [setting.example]
    return made


def _described(setting: SettingSpec) -> str:
    where = " and ".join(f"{name} is {value}" for name, value in setting.when.items())
    secret = "; a secret, best in a file" if setting.secret else ""
    return f"{setting.help}{f'; where {where}' if where else ''}{secret}"
