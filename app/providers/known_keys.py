"""Which keys a table of a spec may have, for the message about an unknown key."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel


def known_keys(annotation: Any, location: Sequence[str | int]) -> set[str]:
    """The keys of the table at a location, as pydantic reports locations, below a type.

    Args:
        annotation: the type, a model at first.
        location: names, numbers of items, and the tags of a union of tables with different ``type``.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _keys_of_model(annotation, location)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return known_keys(arguments[0], location)
    if origin is tuple:
        return known_keys(arguments[0], location[1:])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return known_keys(arguments[1], location[1:])
    tagged = [one for one in arguments if location and _tag(one) == location[0]]
    if tagged:
        return known_keys(tagged[0], location[1:])
    return set().union(*(known_keys(one, location) for one in arguments))


def _keys_of_model(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    if not location:
        return set(fields)
    field = fields.get(str(location[0]))
    return set() if field is None else known_keys(field.annotation, location[1:])


def _tag(model: Any) -> object:
    """The value of ``type`` that makes a table this model."""
    fields = getattr(model, "model_fields", {})
    values = get_args(fields["type"].annotation) if "type" in fields else ()
    return values[0] if len(values) == 1 else None
