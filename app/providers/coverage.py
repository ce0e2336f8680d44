"""Coverage: which rules, words and steps of a spec there are, and which of them one exchange goes through."""

from collections.abc import Iterator

from app.domain.job import Job
from app.providers.operation import Steps
from app.providers.reading import Reading
from app.providers.rules import Rules
from app.providers.spec.provider import ProviderSpec


def keys_of(spec: ProviderSpec) -> Iterator[str]:
    """The key of everything in a spec that an example should go through: variants of steps, rules, words."""
    for name, operation in spec.operations.items():
        for step in ("submit", "poll", "results", "cancel", "cleanup"):
            variants = getattr(operation, step)
            for number, variant in enumerate(variants):
                at = f"operations.{name}.{step}" + (f"[{number}]" if len(variants) > 1 else "")
                yield at
                yield from Rules(getattr(variant, "rules", ()), f"{at}.rules").keys()


def keys_hit(steps: Steps, step: str, job: Job, reading: Reading | None) -> Iterator[str]:
    """The keys that a step of a job goes through, with the rule that its reply meets."""
    results_key, results = steps.results.with_key(job)
    if step in ("cancel", "cleanup"):
        yield (steps.cancel if step == "cancel" else steps.cleanup).with_key(job)[0]
        return
    key, chosen = {
        "submit": steps.submit.with_key(job),
        "poll": steps.poll.with_key(job),
        "resolve": (results_key, results),
        "file": (results_key, results),
    }[step]
    yield key
    verdict = chosen.rules.judge(reading) if chosen is not None and reading is not None else None
    if verdict is None:
        return
    yield verdict.key
    if verdict.effect == "ready" and results is not None and results.resolve is None and results.url is None:
        yield results_key
