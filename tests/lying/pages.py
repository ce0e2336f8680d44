"""An honest server's reply for a page of a list, with each way to name the next page."""

import json

from tests.lying.answers import Answer, Request, json_answer
from tests.lying.plan import Plan

_LAST = {"null": None, "empty": "", "false": False}
SIZE = 3


def page_answer(plan: Plan, request: Request, base: str) -> Answer:
    """One page of the plan's list."""
    number = _number_of(plan, request)
    if number is None:
        return json_answer({"error": "no such page"}, 400)
    start = sum(plan.pages[:number])
    count = plan.pages[number] if number < len(plan.pages) else 0
    after = str(number + 1) if number + 1 < len(plan.pages) else None
    if plan.shape == "csv":
        return _csv(plan, start, count, after)
    items = [{"id": at, "name": f"Zoë {plan.seed}"} for at in range(start, start + count)]
    if plan.shape == "linked":
        return _linked(plan, items, after, base)
    document: dict[str, object] = {"rows": items}
    if plan.shape == "cursor":
        if after is not None:
            document["next"] = after
        elif plan.last_page in _LAST:
            document["next"] = _LAST[plan.last_page]
    return json_answer(document).but(note=f"200, page {number} with {count} items")


def _number_of(plan: Plan, request: Request) -> int | None:
    """Which page is asked for; ``None`` where it is none."""
    name = {"pages": "offset", "linked": "page"}.get(plan.shape, "cursor")
    asked = request.query.get(name) or "0"
    if not asked.isdecimal():
        return None
    return int(asked) // SIZE if plan.shape == "pages" else int(asked)


def _csv(plan: Plan, start: int, count: int, after: str | None) -> Answer:
    rows = "".join(f"{at},{plan.seed}\r\n" for at in range(start, start + count))
    fields = [("Content-Type", "text/csv")]
    if after is not None:
        fields.append(("X-Next", after))
    elif plan.last_page == "empty":
        fields.append(("X-Next", ""))
    return Answer(200, tuple(fields), f"id,name\r\n{rows}".encode(), note=f"200, a page with {count} rows")


def _linked(plan: Plan, items: list[dict[str, object]], after: str | None, base: str) -> Answer:
    links = [f'<{base}/rows?page=0>; rel="first"']
    if after is not None:
        links.append(f'<{base}/rows?page={after}>; rel="next"')
    fields = [("Content-Type", "application/json")]
    if plan.last_page == "repeated":
        fields += [("Link", link) for link in links]
    else:
        fields.append(("Link", ", ".join(links)))
    body = json.dumps({"rows": items}).encode()
    return Answer(200, tuple(fields), body, note=f"200, linked page with {len(items)} items")
