"""Shrinking: the same mix with as few faults as still break a claim of the same kind."""

from pathlib import Path

from tests.lying.claims import broken
from tests.lying.plan import Plan
from tests.lying.run import run


def shrunk(plan: Plan, kind: str, template: Path) -> Plan:
    """Take out one fault after the other for as long as a claim of that kind is broken."""
    smaller = True
    while smaller:
        smaller = False
        for exchange, faults in plan.faults:
            for at, fault in enumerate(faults):
                if fault is None:
                    continue
                candidate = plan.without(exchange, at)
                (ended,) = run([candidate], template)
                if any(sentence.partition(":")[0] == kind for sentence in broken(ended)):
                    plan, smaller = candidate, True
                    break
            if smaller:
                break
    return plan
