"""The catalogue of faults by name, and how plans are drawn from it."""

from dataclasses import replace
from random import Random

from tests.lying import (
    tricks_archives,
    tricks_body,
    tricks_mechanisms,
    tricks_ranges,
    tricks_redirects,
    tricks_status,
    tricks_wire,
)
from tests.lying.plan import (
    ARCHIVES,
    DIGESTS,
    EXCHANGES,
    LISTS,
    MEDIA,
    PAGED,
    RELISTS,
    SHAPES,
    UNSUBMITTED,
    Fault,
    FilePlan,
    Plan,
)
from tests.lying.trick import Exchange, Trick

__all__ = ["FAULTS", "Exchange", "draw"]

FAULTS: dict[str, Trick] = {
    trick.name: trick
    for module in (
        tricks_status,
        tricks_wire,
        tricks_body,
        tricks_ranges,
        tricks_redirects,
        tricks_archives,
        tricks_mechanisms,
    )
    for trick in module.TRICKS
}
_MOST_FAULTS = 8


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    rand = Random(seed)
    plan = _api(seed, rand)
    faults: dict[str, list[Fault | None]] = {}
    for _ in range(rand.choice((1, 1, 2, 2, 3, 4, 5))):
        exchange = _exchange(plan, rand)
        trick = _trick(plan, exchange, rand, faults.get(exchange, []))
        row = faults.setdefault(exchange, [])
        if rand.random() < 0.15:
            row.append(None)
        # A fault of ranges first breaks the file off: then the rest of it is asked for.
        runs = 2 if trick.name.startswith("range-") else rand.randint(1, trick.runs)
        row += [Fault(trick.name, rand.randrange(1000)) for _ in range(runs)]
        if sum(map(len, faults.values())) > _MOST_FAULTS:
            break
    return replace(plan, faults=tuple((name, tuple(row)) for name, row in faults.items()))


def _api(seed: int, rand: Random) -> Plan:
    shape = rand.choice(SHAPES)
    count = rand.choice((0, 1, 2, 2, 3, 3)) if shape in LISTS else 1
    media = rand.choice(MEDIA) if shape not in ARCHIVES else ""
    label = rand.choice(("part", "report", "part.csv"))
    files = tuple(_file(label if rand.random() < 0.5 else f"part-{number}", shape, rand) for number in range(count))
    pages: tuple[int, ...] = ()
    if shape in PAGED:
        files = ()
        # With offsets every page but the last is full; of the last the list itself says that it is not.
        pages = (*([3] * rand.choice((0, 1, 2, 4))), rand.choice((0, 1, 2)))
        media = ""
    mode = (
        "once"
        if shape in UNSUBMITTED
        else "repeatable"
        if shape == "atonce"
        else rand.choice(("once", "once", "repeatable"))
        if shape == "xml"  # in whose lists an element that is not there is no list
        else rand.choice(("once", "once", "repeatable", "adopt"))
    )
    auth = "bearer" if shape == "xml" else rand.choice(("bearer", "bearer", "session", "hmac"))
    return Plan(
        seed, shape, auth, mode, media, files, pages,
        rand.choice(("absent", "null", "empty", "false")) if shape != "linked" else rand.choice(("absent", "repeated")),
        rand.choice((0, 1, 1, 3)), rand.choice(("strong", "strong", "strong", "weak", "none")),
        rand.choice((None, *RELISTS)) if count > 1 and shape == "list" else None,
        rand.uniform(0.1, 40) if rand.random() < 0.04 and shape == "list" else None,
    )  # fmt: skip


def _file(label: str, shape: str, rand: Random) -> FilePlan:
    listed = shape in LISTS
    size = rand.choice((0, 1, 200, 2000, 2000, 9000, 70_000))
    tells = listed and rand.random() < 0.5
    return FilePlan(
        label if listed else "report",
        size,
        packed=shape == "gzip" or (listed and rand.random() < 0.2),
        foreign=(listed or shape == "resolve") and rand.random() < 0.4,
        size_told=tells and rand.random() < 0.6,
        sha256=rand.choice(DIGESTS) if tells and rand.random() < 0.4 else "",
        md5=rand.choice(DIGESTS) if tells and rand.random() < 0.3 else "",
    )


def _exchange(plan: Plan, rand: Random) -> str:
    others = [("login",), ("adopt",)] if rand.random() < 0.15 else []
    kinds = list(EXCHANGES[plan.shape])
    kinds += ["login"] if others and plan.auth == "session" else []
    kinds += ["adopt"] if others and plan.mode == "adopt" and plan.submitted else []
    kinds += ["cancel"] * 3 if plan.cancel_at is not None else []
    kind = rand.choice(kinds)
    if kind != "file":
        return kind
    return f"file{rand.randrange(len(plan.files))}" if plan.files else "poll"


def _trick(plan: Plan, exchange: str, rand: Random, so_far: list[Fault | None]) -> Trick:
    """A fault that fits; after a download that was broken off, most often one of ranges."""
    kind = exchange.rstrip("0123456789")
    file = plan.files[int(exchange.removeprefix("file"))] if kind == "file" else None
    if kind in ("inline", "answer"):
        file = plan.files[0]
    fitting = [trick for trick in FAULTS.values() if kind in trick.on and trick.fits(plan, file)]
    broken = so_far and so_far[-1] is not None and so_far[-1].name == "cut-in-body"
    special = [trick for trick in fitting if trick.own or not trick.fits(plan, None)]
    if special and rand.random() < 0.25:
        return rand.choice(special)
    if kind == "file" and plan.shape in ARCHIVES and rand.random() < 0.5:
        return rand.choice([trick for trick in fitting if trick.name.startswith("archive-")])
    if kind == "file" and (broken or rand.random() < 0.2):
        ranges = [trick for trick in fitting if trick.name.startswith("range-")]
        return rand.choice(ranges)
    return rand.choice(fitting)
