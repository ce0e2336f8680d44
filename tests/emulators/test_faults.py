"""Faults as values, and the plan that injects them."""

from email.utils import parsedate_to_datetime

import pytest

from tidewaiter.emulators.controls import (
    HEALTHY,
    FaultKind,
    FaultPlan,
    FaultRule,
    InjectedFault,
    RetryAfter,
    rules_from_json,
    rules_to_json,
)

_THROTTLE = InjectedFault(FaultKind.THROTTLE)
_STALL = InjectedFault(FaultKind.STALL)
_NOW = 1_403_187_000.0


def test_rules_are_taken_in_order_and_used_up() -> None:
    """A rule serves as many requests of its route as it says, then the next one, then all is well."""
    plan = FaultPlan([FaultRule("status", 2, _THROTTLE), FaultRule("status", 1, _STALL)])
    assert [plan.take("status") for _ in range(4)] == [_THROTTLE, _THROTTLE, _STALL, HEALTHY]
    assert plan.rules == ()


def test_rules_of_other_routes_are_left_alone() -> None:
    """A request takes only what was meant for its route."""
    plan = FaultPlan([FaultRule("create", 1, _STALL), FaultRule("status", 1, _THROTTLE)])
    assert plan.take("status") == _THROTTLE
    assert [rule.route for rule in plan.rules] == ["create"]


def test_a_rule_without_a_number_lasts_for_ever() -> None:
    """``times=None`` is never used up, until the plan is cleared."""
    plan = FaultPlan([FaultRule("*", None, _THROTTLE)])
    assert {plan.take(route) for route in ("a", "b", "c")} == {_THROTTLE}
    plan.clear()
    assert plan.take("a") == HEALTHY


def test_healthy_requests_keep_their_place() -> None:
    """A rule of kind ``none`` lets requests through before the faulty one."""
    plan = FaultPlan()
    plan.add("status", HEALTHY, times=2)
    plan.add("status", _THROTTLE)
    assert [plan.take("status").kind for _ in range(3)] == ["none", "none", "throttle"]


def test_rules_survive_json() -> None:
    """What is written for the control endpoint reads back as the same rules, for every kind there is."""
    rules = [FaultRule("a", None, InjectedFault(kind, 502, 2.5, 7, "x", RetryAfter.DATE)) for kind in FaultKind]
    assert rules_from_json(rules_to_json(rules)) == rules


def test_bad_rules_are_refused_with_every_mistake() -> None:
    """Unknown kinds, unknown keys and impossible numbers are all named in one error."""
    text = b"""[{"route": "a", "times": 0, "fault": {"kind": "lateness"}},
                {"route": "a", "times": 1, "fault": {"kind": "latency", "second": 1, "seconds": -1, "status": 200}}]"""
    with pytest.raises(ValueError, match="5 validation errors") as caught:
        rules_from_json(text)
    for place in ("0.times", "0.fault.kind", "1.fault.second\n", "1.fault.seconds", "1.fault.status"):
        assert place in str(caught.value)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (RetryAfter.ABSENT, None),
        (RetryAfter.SECONDS, "30"),
        (RetryAfter.NEGATIVE, "-5"),
        (RetryAfter.NONSENSE, "in a while"),
        (RetryAfter.NOT_ASCII, "bientôt"),
        (RetryAfter.HUGE, "10000000000"),
    ],
)
def test_every_form_of_retry_after(form: RetryAfter, value: str | None) -> None:
    """The refusals of the fault catalogue's row 24 can all be produced."""
    assert InjectedFault(FaultKind.THROTTLE, seconds=29.5, retry_after=form).retry_after_at(_NOW) == value


@pytest.mark.parametrize(("form", "offset_s"), [(RetryAfter.DATE, 30), (RetryAfter.PAST_DATE, -3600)])
def test_retry_after_as_a_date(form: RetryAfter, offset_s: int) -> None:
    """Dates are HTTP dates, ahead of or behind the server's clock."""
    value = InjectedFault(FaultKind.THROTTLE, seconds=30, retry_after=form).retry_after_at(_NOW)
    assert value is not None
    assert value.endswith("GMT")
    assert parsedate_to_datetime(value).timestamp() == _NOW + offset_s
