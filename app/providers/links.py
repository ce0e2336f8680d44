"""The header Link: the targets that it names, by their relation to what was asked for."""

import re
from collections.abc import Iterator, Mapping, Sequence

_SKIPPED = re.compile(r"[ \t,]*")
_PARAMETER = re.compile(r'[ \t]*;[ \t]*([^=;,"\s]*)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^;," \t]*))?')
_ESCAPED = re.compile(r"\\(.)")


def link_target(fields: Sequence[str], relation: str, url: str) -> str | None:
    """The target of the first link with this relation, as it is written; ``None`` where there is none.

    Args:
        fields: every value of Link in the reply; each may hold several links.
        relation: such as ``next``, in any case.
        url: the address of the reply. A link with another context (its ``anchor``) says nothing of it.

    Source: RFC 8288, sections 3 and B.2.
    """
    wanted = relation.casefold()
    for field in fields:
        for target, parameters in _links(field):
            ours = parameters.get("anchor", "") in ("", "#", url)
            if ours and wanted in parameters.get("rel", "").casefold().split():
                return target.strip()
    return None


def _links(field: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The links of one field. What is no link is passed over up to the next comma."""
    at = 0
    while at < len(field):
        at = _after(_SKIPPED, field, at)
        if not field.startswith("<", at):
            comma = field.find(",", at)
            at = len(field) if comma < 0 else comma
            continue
        end = field.find(">", at)
        if end < 0:
            return
        target, at = field[at + 1 : end], end + 1
        parameters: dict[str, str] = {}
        while (found := _PARAMETER.match(field, at)) is not None:
            at = found.end()
            # Of a parameter that comes twice the first counts (section 3.3).
            parameters.setdefault(found[1].casefold(), _plain(found[2] or ""))
        yield target, parameters


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
