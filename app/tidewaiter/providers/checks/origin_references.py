"""References to the tables ``origins`` and ``auths``: by the requests of steps, and by origins."""

from collections.abc import Iterator, Mapping

from tidewaiter.domain.own_origins import ANY_LABEL
from tidewaiter.providers.checks.spec_trees import Tree, table_of, tables_of

_CONTENT = frozenset({"json", "form", "query", "headers", "params", "when", "keep"})
"""Tables of a request whose keys are the API's own, or names."""


def origin_faults(raw: Tree) -> Iterator[tuple[str, str]]:
    """The faults of every ``base`` and ``auth`` of a request or an origin, and the names that nothing uses."""
    origins, auths = tables_of(raw.get("origins")), table_of(raw.get("auths"))
    used: list[object] = []  # whatever stands in the file
    for name, origin in origins.items():
        yield from _auth(origin.get("auth"), f"origins.{name}.auth", auths)
        used.append(origin.get("auth"))
    for key, request in (*_requests(raw.get("operations"), "operations"), *_requests(raw.get("probe"), "probe")):
        yield from _base(request.get("base"), f"{key}.base", origins)
        yield from _auth(request.get("auth"), f"{key}.auth", auths)
        used.append(request.get("auth"))
    for name in auths:
        if name not in used:
            yield f"auths.{name}", f'is never used: name it in a request or an origin, with auth = "{name}"'


def url_settings(raw: Tree, settings: Mapping[str, Tree]) -> Iterator[tuple[str, str]]:
    """References of origins to settings that are no address."""
    for name, origin in tables_of(raw.get("origins")).items():
        url = origin.get("url")
        setting = url.removeprefix("${account.").partition("}")[0] if isinstance(url, str) else ""
        named = isinstance(url, str) and url.startswith("${account.") and setting in settings
        if named and settings[setting].get("type") != "url":
            yield f"origins.{name}.url", f"begins with ${{account.{setting}}}, which must be a setting of type url"


def _requests(tree: object, key: str) -> Iterator[tuple[str, Tree]]:
    """Every table in a tree that may be a request."""
    if isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from _requests(item, f"{key}[{number}]")
    elif isinstance(tree, Mapping):
        if "url" in tree:
            yield key, tree
        for name, value in tree.items():
            if name not in _CONTENT:
                yield from _requests(value, f"{key}.{name}")


def _base(base: object, key: str, origins: Mapping[str, Tree]) -> Iterator[tuple[str, str]]:
    if not isinstance(base, str):
        return
    if base not in origins:
        yield key, f"there is no origin {base!r} (there are: {', '.join(origins) or 'none'})"
    elif str(origins[base].get("url")).startswith(ANY_LABEL):
        yield key, f"{base} stands for many hosts, so no request can begin with it"


def _auth(auth: object, key: str, auths: Tree) -> Iterator[tuple[str, str]]:
    if isinstance(auth, str) and auth not in auths:
        yield key, f"there is no auths.{auth} (there are: {', '.join(auths) or 'none'})"
