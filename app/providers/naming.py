"""Parameters with several names, each sent under the name by which it was given, where an account asks for that."""

from collections.abc import Iterator, Mapping

from app.domain.jsonvalue import Json
from app.providers.spec.fields import holds
from app.providers.spec.parameters import Item, Parameter
from app.providers.spec.provider import OperationSpec


def names_as_written(spec: OperationSpec, settings: Mapping[str, Json]) -> OperationSpec:
    """The operation for an account with these settings.

    Where the ``as_written`` of a parameter or field holds, each of its other names (``also``) becomes a parameter of
    its own, and so its value is kept and sent under the name that was used.
    """
    return spec.model_copy(update={"params": dict(_apart(spec.params, settings))})


def _apart(params: Mapping[str, Parameter], settings: Mapping[str, Json]) -> Iterator[tuple[str, Parameter]]:
    for name, one in params.items():
        inner = one.model_copy(update={"fields": dict(_apart(one.fields, settings)), "items": _item(one, settings)})
        if not one.as_written or not holds(one.as_written, settings):
            yield name, inner
            continue
        for own in (name, *one.also):
            yield own, inner.model_copy(update={"also": ()})


def _item(one: Parameter, settings: Mapping[str, Json]) -> Item | None:
    if one.items is None:
        return None
    return one.items.model_copy(update={"fields": dict(_apart(one.items.fields, settings))})
