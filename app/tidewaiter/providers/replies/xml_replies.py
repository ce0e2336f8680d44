"""XML replies as a tree of JSON values, read by JMESPath as any other reply.

The tree of a document is an object with one member, the root element. An element becomes

* its text, without surrounding blanks, if it has neither attributes nor elements;
* else an object: ``@name`` for each attribute, the name of each element, and ``#text`` for its own text, if it has any;
* ``null`` if its attribute ``xsi:nil`` says so.

Names have no prefix, because each server chooses its own; declarations of namespaces are left out, and not processed.
An element that is repeated is an array, in the order of the document. ``lists`` names elements that are arrays even if
there is one or none of them, so that a spec can rely on it.

Document types are refused, and with them all entities but the five of XML itself: nothing is expanded, and no other
address is asked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from tidewaiter.domain.http_values import Json, field_values
from tidewaiter.providers.spec.reply_spec import ReplySpec

_DEEPEST: Final = 100
_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_DECLARED: Final = re.compile(rb"<\?xml\s[^>]{0,200}?\sencoding\s*=")
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9._-]{1,40})", re.IGNORECASE)


class XmlError(ValueError):
    """A body is no XML that is read; the message is a clause that says why."""


class XmlLimitError(ValueError):
    """XML exceeds a limit; the message is a clause that says which."""


@dataclass(frozen=True, slots=True)
class XmlForm:
    """That replies are XML; ``lists`` has the elements that are arrays, by the name of the element around them."""

    lists: Mapping[str, tuple[str, ...]]


def xml_form(*specs: ReplySpec | None) -> XmlForm | None:
    """How replies are read by the first table that is given; ``None`` if they are JSON."""
    spec = next((one for one in specs if one is not None), None)
    if spec is None or spec.format != "xml":
        return None
    lists: dict[str, tuple[str, ...]] = {}
    for one in spec.lists:
        parent, _, child = one.partition(".")
        lists[parent] = (*lists.get(parent, ()), child)
    return XmlForm(lists)


@dataclass(slots=True)
class _Element:
    """An element whose end has not come yet."""

    name: str
    nil: bool
    members: dict[str, Json]
    repeated: dict[str, list[Json]] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)

    def add(self, name: str, value: Json, *, listed: bool) -> None:
        """Add an element; the second one of a name makes an array."""
        if name in self.repeated:
            self.repeated[name].append(value)
        elif listed or name in self.members:
            first = [self.members[name]] if name in self.members else []
            self.members[name] = self.repeated[name] = [*first, value]
        else:
            self.members[name] = value

    def value(self) -> Json:
        """The element as JSON."""
        text = "".join(self.text).strip()
        if self.nil:
            return None
        if not self.members:
            return text
        return {**self.members, "#text": text} if text else self.members


class _Tree:
    """Builds the tree while the parser reads."""

    def __init__(self, form: XmlForm, most_values: int) -> None:
        self._lists = form.lists
        self._most_values = most_values
        self._values = 0
        self._open = [_Element("", nil=False, members={})]

    @property
    def root(self) -> Json:
        """The tree, after the end of the document."""
        return self._open[0].members

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._values += 1 + len(attributes)
        if self._values > self._most_values:
            raise XmlLimitError(
                f"its XML holds more than {self._most_values} elements and attributes: "
                "request smaller pages, or raise most_values in the account's bounds"
            )
        if len(self._open) > _DEEPEST:
            raise XmlLimitError(f"its XML is nested more than {_DEEPEST} deep")
        members: dict[str, Json] = {}
        nil = False
        for attribute, value in attributes.items():
            prefix, _, local = attribute.rpartition(":")
            if "xmlns" not in (prefix, attribute):
                members.setdefault(f"@{local}", value)
                nil = nil or (prefix != "" and local == "nil" and value.strip() in ("true", "1"))
        element = _Element(name.rpartition(":")[2], nil, members)
        for listed in self._lists.get(element.name, ()):
            members[listed] = element.repeated[listed] = []
        self._open.append(element)

    def end(self, _name: str) -> None:
        """The element that began last ends."""
        element = self._open.pop()
        self._open[-1].add(element.name, element.value(), listed=False)

    def text(self, text: str) -> None:
        """A piece of an element's own text."""
        self._open[-1].text.append(text)


def _refuse_document_type(*_: object) -> NoReturn:
    raise XmlError("it has a document type (DOCTYPE), which is not read")


def read_xml(body: bytes, headers: Mapping[str, str], form: XmlForm, most_values: int) -> Json:
    """The tree of an XML document.

    The encoding is that of the document itself (its byte order mark or its declaration), else that of Content-Type,
    else UTF-8.

    Args:
        body: the whole document.
        headers: of the reply.
        form: how the tree is built.
        most_values: the most elements and attributes.

    Raises:
        XmlError: it is not well-formed, is in an encoding that is not known, or has a document type.
        XmlLimitError: it exceeds a limit.
    """
    tree = _Tree(form, most_values)
    try:
        parser = expat.ParserCreate(_encoding_of(body, headers))
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.EntityDeclHandler = _refuse_document_type
        parser.StartElementHandler = tree.start
        parser.EndElementHandler = tree.end
        parser.CharacterDataHandler = tree.text
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise XmlError(f"{expat.ErrorString(error.code)}, in line {error.lineno}") from None
    except (LookupError, UnicodeError) as error:
        raise XmlError(f"its encoding is not known: {error}") from None
    except ValueError as error:
        if isinstance(error, XmlError | XmlLimitError):
            raise
        raise XmlError(f"its encoding cannot be read: {error}") from None
    return tree.root


def _encoding_of(body: bytes, headers: Mapping[str, str]) -> str | None:
    """The encoding in Content-Type, if the document does not name its own."""
    if body.startswith(_MARKS) or _DECLARED.match(body.lstrip()):
        return None
    charset = _CHARSET.search(",".join(field_values(headers, "content-type")))
    return None if charset is None else charset[1]
