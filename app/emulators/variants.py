"""What an API's documents leave open: one frozen dataclass for each API, set at the start or changed while it runs."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, TypeVar

from pydantic import ConfigDict, TypeAdapter

STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class NoVariants:
    """For an API without variants."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT


_Variants = TypeVar("_Variants", bound=Any)
_MEMBERS: Final[TypeAdapter[dict[str, object]]] = TypeAdapter(dict[str, object])


def changed(variants: _Variants, text: bytes) -> _Variants:
    """The variants, changed by the members of a JSON object.

    :raises ValueError: with every mistake at once.
    """
    adapter: TypeAdapter[_Variants] = TypeAdapter(type(variants))
    return adapter.validate_python(asdict(variants) | _MEMBERS.validate_json(text))


def variants_to_json(variants: object) -> bytes:
    """All members, as a JSON object."""
    return TypeAdapter(type(variants)).dump_json(variants)
