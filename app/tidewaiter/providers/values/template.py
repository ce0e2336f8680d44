"""Templates: ``${...}`` in the parsed tree of a spec, compiled once into functions of a job.

A text that consists of one reference keeps the type of its value; in other texts values are written as in JSON. If a
value is missing, the whole text has no value, and its key is left out. Of alternatives, as in
``${params.x|account.x}``, the first with a value counts. Values are never pasted into JSON text, and are
percent-encoded in a URL. ``${null}`` is null in JSON; as an alternative, as in ``${params.x|null}``, it sends null
where a value is missing.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, cast, get_args
from urllib.parse import quote

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.values.texts import as_text

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_SAFE_SEGMENT = re.compile(r"[A-Za-z0-9_~-]+")
_PATH = ":path"
_OR = "|"

NamedScope: TypeAlias = Literal["params", "account", "kept", "login", "item"]
PlainScope: TypeAlias = Literal[
    "handle", "callback_url", "job.id", "intent.key", "page.next", "page.number", "page.offset", "page.size",
    "page.since", "key.sha256", "null",
]  # fmt: skip
_NAMED: Mapping[str, NamedScope] = {one: one for one in get_args(NamedScope)}
_PLAIN: Mapping[str, PlainScope] = {one: one for one in get_args(PlainScope)}
SINCE: Final = "page.since"
"""The scope of the oldest time that ``reuse`` accepts."""
PAGE_COUNTERS = frozenset({"page.number", "page.offset"})
"""The scopes whose values differ from page to page."""
ITEM = "item."
"""What the names begin with under which the values of an item are among the parameters."""
KEY_SHA256: Final = "key.sha256"
"""The scope of the fingerprint of a public key; the settings hold it under a name that no setting can have."""
KNOWN = f"params.NAME, account.NAME, kept.NAME, item.NAME, {', '.join(one for one in _PLAIN if one != KEY_SHA256)}"


STAND_IN_DOMAIN: Final = ".login.invalid"
"""The end of what stands for a value of a login until the login has brought it."""


def stand_in(name: str) -> str:
    """What stands for a value of a login in a request that was built before it; no host has such a name."""
    return f"{name.replace('_', '-')}{STAND_IN_DOMAIN}"


class _Null:
    """JSON null: a value, while ``None`` is no value."""


IF_THERE: Final = "?"
"""The key of an object within JSON that is left out if the value of this key is missing; it is not sent."""
NULL: Final = cast(Json, _Null())
"""The value of ``${null}``."""


class TemplateError(ValueError):
    """A template cannot be read; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The text between ``${`` and ``}``: a scope, and for ``params``, ``account``, ``kept`` and ``item`` a name.

    ``as_path`` (``:path`` at the end): in a URL the value is several segments, and its slashes stay.
    ``otherwise`` is the reference after the ``|``, which is used if this one has no value.
    """

    scope: NamedScope | PlainScope
    name: str = ""
    as_path: bool = False
    otherwise: "Reference | None" = None

    def __str__(self) -> str:
        named = f"{self.scope}.{self.name}" if self.name else self.scope
        return f"${{{named}{_PATH if self.as_path else ''}}}"

    def each(self) -> Iterator["Reference"]:
        """This reference and its alternatives, in order."""
        yield self
        if self.otherwise is not None:
            yield from self.otherwise.each()


@dataclass(frozen=True, slots=True)
class Fixed:
    """The value of a template that depends on no job; ``None`` if it has no value."""

    value: Json


Render: TypeAlias = Callable[[Job, str | None], Json]
"""The value of a template for a job and its callback URL; ``None`` if it has no value."""
Node: TypeAlias = Fixed | Render


def parse_template(text: str) -> tuple[str | Reference, ...]:
    """The texts and references of a template, in order.

    Raises:
        TemplateError: a reference is not closed, or has an unknown scope.
    """
    pieces = _REFERENCE.split(text)
    if any("${" in piece for piece in pieces[::2]):
        raise TemplateError("has a ${ without its }")
    every = (piece if number % 2 == 0 else _reference(piece) for number, piece in enumerate(pieces))
    return tuple(piece for piece in every if piece != "")


def _reference(inner: str) -> Reference:
    first, bar, rest = inner.partition(_OR)
    if bar:
        return replace(_reference(first.strip()), otherwise=_reference(rest.strip()))
    whole = inner.removesuffix(_PATH)
    scope, _, name = whole.partition(".")
    if scope in _NAMED and name:
        return Reference(_NAMED[scope], name, as_path=whole != inner)
    if whole in _PLAIN:
        return Reference(_PLAIN[whole], as_path=whole != inner)
    raise TemplateError(f"refers to ${{{inner}}}, which does not exist (use {KNOWN})")


def references_in(text: str) -> Iterator[Reference]:
    """Every reference in a text, alternatives included; none if the text is no template."""
    try:
        parts = parse_template(text)
    except TemplateError:
        return
    for part in parts:
        if isinstance(part, Reference):
            yield from part.each()


def names_callback(tree: Json) -> bool:
    """Whether a text in a tree refers to the callback URL."""
    return refers_to(tree, {"callback_url"})


def refers_to(tree: Json, scopes: Collection[str]) -> bool:
    """Whether a text in a tree refers to one of these scopes, also as an alternative."""
    return any(one.scope in scopes for text in _texts_in(tree) for one in references_in(text))


def _texts_in(tree: Json) -> Iterator[str]:
    match tree:
        case str():
            yield tree
        case Mapping():
            for one in tree.values():
                yield from _texts_in(one)
        case Sequence():
            for one in tree:
                yield from _texts_in(one)
        case int() | float() | None:
            pass


def compile_value(text: str, settings: Mapping[str, Json]) -> Node:
    """A template; one that is a single reference keeps the type of its value."""
    parts = parse_template(text)
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return _value_of(parts[0], settings)
    return compile_text(text, settings)


def compile_tree(tree: Json, settings: Mapping[str, Json], *, within: bool = False) -> Node:
    """A tree of templates; members and items without a value are left out.

    Args:
        tree: texts with references, in objects and arrays.
        settings: the account's values.
        within: whether the tree is a part of another one, where an object may have the key ``?``.
    """
    if isinstance(tree, str):
        return compile_value(tree, settings)
    if isinstance(tree, Mapping):
        nodes = {key: compile_tree(value, settings, within=True) for key, value in tree.items()}
        needed = nodes.pop(IF_THERE, None) if within else None
        whole = _compile_object(nodes)
        return whole if needed is None else _if_there(needed, whole)
    if isinstance(tree, Sequence):
        return _compile_array([compile_tree(item, settings, within=True) for item in tree])
    return Fixed(tree)


def _if_there(needed: Node, whole: Node) -> Node:
    """An object that has no value unless another node has one."""
    if isinstance(needed, Fixed):
        return Fixed(None) if needed.value is None else whole
    render = always(whole)
    return lambda job, callback_url: None if needed(job, callback_url) is None else render(job, callback_url)


def _compile_object(nodes: Mapping[str, Node]) -> Node:
    members = {key: node.value for key, node in nodes.items() if isinstance(node, Fixed)}
    if len(members) == len(nodes):
        return Fixed({key: value for key, value in members.items() if value is not None})
    renders = [(key, always(node)) for key, node in nodes.items()]
    return lambda job, callback_url: {
        key: value for key, render in renders if (value := render(job, callback_url)) is not None
    }


def _compile_array(nodes: Sequence[Node]) -> Node:
    items = [node.value for node in nodes if isinstance(node, Fixed)]
    if len(items) == len(nodes):
        return Fixed([item for item in items if item is not None])
    renders = [always(node) for node in nodes]
    return lambda job, callback_url: [item for render in renders if (item := render(job, callback_url)) is not None]


def compile_text(
    text: str, settings: Mapping[str, Json], escape: Callable[[str], str] | None = None, before: str = ""
) -> Node:
    """A template whose value is text, after the unchanged text ``before``.

    ``escape`` is applied to the values, never to the template itself.
    """
    pieces: list[str | Render] = [before] if before else []
    for part in parse_template(text):
        node = Fixed(part) if isinstance(part, str) else _text_of(_value_of(part, settings), _escaping(part, escape))
        if isinstance(node, Fixed) and node.value is None:
            return node
        piece = str(node.value) if isinstance(node, Fixed) else node
        if pieces and isinstance(piece, str) and isinstance(last := pieces[-1], str):
            pieces[-1] = last + piece
        else:
            pieces.append(piece)
    return _joined(pieces)


def _escaping(part: Reference, escape: Callable[[str], str] | None) -> Callable[[str], str] | None:
    return url_path if part.as_path and escape is url_part else escape


def _joined(pieces: list[str | Render]) -> Node:
    match pieces:
        case []:
            return Fixed("")
        case [str(only)]:
            return Fixed(only)
        case [str(before), only] if not isinstance(only, str):
            return _after(before, only)
    renders = [always(Fixed(piece) if isinstance(piece, str) else piece) for piece in pieces]

    def render(job: Job, callback_url: str | None) -> Json:
        values = [one(job, callback_url) for one in renders]
        return None if None in values else "".join(map(str, values))

    return render


def _after(before: str, only: Render) -> Render:
    """Faster, for the most common template: a URL that ends with the handle."""

    def render(job: Job, callback_url: str | None) -> Json:
        value = only(job, callback_url)
        return None if value is None else f"{before}{value}"

    return render


def always(node: Node) -> Render:
    """A node as a function, also if it is fixed."""
    if not isinstance(node, Fixed):
        return node
    value = node.value
    return lambda _job, _callback_url: value


def _value_of(reference: Reference, settings: Mapping[str, Json]) -> Node:
    first = _value_of_one(reference, settings)
    if reference.otherwise is None:
        return first
    rest = _value_of(reference.otherwise, settings)
    if isinstance(first, Fixed):
        return rest if first.value is None else first
    either = always(rest)

    def value(job: Job, callback_url: str | None) -> Json:
        found = first(job, callback_url)
        return either(job, callback_url) if found is None else found

    return value


def _value_of_one(reference: Reference, settings: Mapping[str, Json]) -> Node:
    name = reference.name
    match reference.scope:
        case "account" | "login" | "key.sha256" | "null":
            return Fixed(_value_of_account(reference, settings))
        case "kept":
            return lambda job, _: job.kept.get(name)
        case "handle":
            return lambda job, _: job.handle
        case "callback_url":
            return lambda _, callback_url: callback_url
        case "job.id":
            return lambda job, _: job.id
        case "intent.key":
            return lambda job, _: job.intent_key
        case "params" | "item" | "page.next" | "page.number" | "page.offset" | "page.size" | "page.since" as scope:
            # The values of an item or a page are passed as parameters, with names that no parameter can have.
            key = f"{ITEM}{name}" if scope == "item" else name or scope
            return lambda job, _: job.secrets.values.get(key, job.params.get(key))


def _value_of_account(reference: Reference, settings: Mapping[str, Json]) -> Json:
    if reference.scope == "null":
        return NULL
    if reference.scope == "login":
        return stand_in(reference.name)
    return settings.get(KEY_SHA256 if reference.scope == "key.sha256" else reference.name)


def _text_of(node: Node, escape: Callable[[str], str] | None) -> Node:
    def written(value: Json) -> str | None:
        text = as_text(value)
        return text if text is None or escape is None else escape(text)

    if isinstance(node, Fixed):
        return Fixed(written(node.value))
    return lambda job, callback_url: written(node(job, callback_url))


def url_part(text: str) -> str:
    """A value as a part of a URL: none of its characters can end that part.

    Raises:
        UnsendableError: the value is empty or made of dots; as a segment of a path it names another resource.
    """
    if _SAFE_SEGMENT.fullmatch(text):
        return text
    if text.strip(".") == "":
        raise UnsendableError(f"{text!r} cannot be a part of a URL")
    return quote(text, safe="")


def url_path(text: str) -> str:
    """A value as several segments of a URL's path: slashes stay, and each segment is encoded by :func:`url_part`.

    A slash at its beginning is left out.

    Raises:
        UnsendableError: a segment is empty or made of dots.
    """
    return "/".join(map(url_part, text.removeprefix("/").split("/")))


def query_part(text: str) -> str:
    """A key or value of a query, percent-encoded."""
    return quote(text, safe="")
