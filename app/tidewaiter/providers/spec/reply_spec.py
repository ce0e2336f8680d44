"""How the bodies of replies are read: as JSON, or as XML that is mapped to the same kind of tree."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tidewaiter.providers.spec.field_types import InvalidValueError, Items, SpecTable


def _parent_and_child(value: str) -> str:
    parent, dot, child = value.partition(".")
    if not (parent and dot and child) or "." in child or any(one in value for one in ":@ /[]"):
        raise InvalidValueError(
            f'{value!r} must be the names of an element and of one in it, without prefixes: "results.result"'
        )
    return value


ListedElement: TypeAlias = Annotated[str, AfterValidator(_parent_and_child)]


class ReplySpec(SpecTable):
    """How the bodies of replies are read. A plain text is the ``format``.

    XML is mapped to a tree, which JMESPath reads as it reads JSON: an object with the root element. An element is its
    text; with attributes or elements it is an object with ``@name`` for each attribute, the name of each element, and
    ``#text``. Names have no prefix. A repeated element is an array. A document type (DOCTYPE) is refused.
    """

    format: Literal["json", "xml"] = Field(default="json", description="what the bodies are")
    lists: Items[ListedElement] = Field(
        default=(),
        description="for XML: elements that are always arrays, even without one or with a single one, each after the "
        "name of the element around it, such as results.result",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"format": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _lists_are_of_xml(self) -> Self:
        if self.lists and self.format != "xml":
            raise InvalidValueError(
                'lists are for XML, and this is JSON, whose arrays need no list: add format = "xml"'
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "enum": ["json", "xml"]}, handler(schema)]}
