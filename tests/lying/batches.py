"""Groups of plans that one daemon serves, and the report on broken claims."""

from collections.abc import Iterable, Sequence

from tests.lying.catalogue import draw
from tests.lying.plan import Plan
from tests.lying.run import Ended

BATCH = 150
_SHOWN = 8


def batches(first: int, count: int, size: int = BATCH) -> list[list[Plan]]:
    """The plans of these seeds, in groups."""
    seeds = range(first, first + count)
    return [[draw(seed) for seed in seeds[at : at + size]] for at in range(0, count, size)]


def story(ended: Ended, sentences: Sequence[str] = ()) -> str:
    """Everything about one mix: plan, exchanges, history, files, and what is broken."""
    lines = [ended.plan.told(), ended.remote.transcript()]
    begin = ended.job.created_at
    lines += [f"  {one.at - begin:9.2f}  {one.state} {one.outcome} {one.detail or ''}" for one in ended.history]
    lines += [f"  file {name}: {len(data)} bytes" for name, data in ended.stored.items()]
    lines.append(f"  {ended.job.state}: {ended.job.reason}")
    lines += [f"BROKEN {sentence}" for sentence in sentences]
    return "\n".join(lines)


def kind_of(sentence: str) -> str:
    """The kind of claim that a sentence says is broken."""
    return sentence.partition(":")[0]


def summary(found: Iterable[tuple[Ended, str]]) -> str:
    """What broke: every sentence in one line with its seed, then the stories of the first few."""
    rows = list(found)
    lines = [f"{len(rows)} claims are broken; one alone: python -m tests.lying SEED --shrink 1"]
    lines += [f"  seed {ended.plan.seed}, {sentence}" for ended, sentence in rows]
    told: set[str] = set()
    for ended, sentence in rows:
        if kind_of(sentence) not in told and len(told) < _SHOWN:
            told.add(kind_of(sentence))
            lines += ["", story(ended, [sentence])]
    return "\n".join(lines)
