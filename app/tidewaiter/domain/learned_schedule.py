"""The learned schedule: seconds until the next poll, from what earlier remote jobs took and from reported progress.

It stays within what the operator has configured: no interval shorter than the configured first one or longer than the
cap, never before the first delay, and never more than twice as many polls (and four) as the configured schedule has
spent by then. Where it knows nothing, the configured schedule holds: without history, beyond the longest time that was
seen before, and after an estimate that was wrong.
"""

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.duration_sketch import NO_DURATIONS, DurationSketch
from tidewaiter.domain.poll_plan import PollPlan, PollTimes, plan_polls

LEAST_JOBS: Final = 3
"""With fewer observations there is no plan."""
_SPARE_POLLS: Final = 4
_LEAST_PROGRESS: Final = 0.05
_OF_REMAINING: Final = 0.7


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress from 0 to 1 that a poll read, seconds after the submit, and what the poll before it read, if any."""

    at_s: float
    done: float
    before_at_s: float | None = None
    before: float | None = None

    @property
    def remaining_s(self) -> float | None:
        """The seconds that are left; ``None``: it says nothing.

        From the elapsed time, or from the last two polls if that is earlier. Progress that stands still says nothing.
        """
        if not _LEAST_PROGRESS <= self.done < 1.0 or self.at_s <= 0.0:
            return None
        left = 1.0 - self.done
        of_all_s = self.at_s * left / self.done
        if self.before is None or self.before_at_s is None or self.before_at_s >= self.at_s:
            return of_all_s
        if self.done <= self.before:
            return None
        return min(of_all_s, (self.at_s - self.before_at_s) * left / (self.done - self.before))


@dataclass(frozen=True, slots=True)
class LearnedSchedule:
    """What is known about the durations of an operation's jobs of one kind, and the plan made of it, if any."""

    kind: str = ""
    sketch: DurationSketch = NO_DURATIONS
    plan: PollPlan | None = None

    def first_in(self, policy: OperationPolicy, elapsed_s: float, rand: Random) -> float | None:
        """Seconds until the first poll of a remote job that was submitted so long ago; ``None``: as configured."""
        earliest_s = max(policy.first_delay_s, shortest_interval_s(policy))
        return self._planned(policy, elapsed_s, rand, earliest_s)

    def next_in(
        self,
        policy: OperationPolicy,
        elapsed_s: float,
        polls: int,
        *,
        configured_s: float,
        progress: Progress | None,
        rand: Random,
    ) -> float:
        """Seconds until the next poll of a remote job.

        Args:
            policy: what the operator has configured.
            elapsed_s: seconds since the submit.
            polls: how often it was polled.
            configured_s: the configured delay, which holds where nothing is known.
            progress: what it reports, if it does.
            rand: spreads the polls of jobs that were made together.
        """
        spent = configured_polls(policy, elapsed_s)
        planned_s = None
        if polls <= 2 * spent + _SPARE_POLLS:
            planned_s = self._planned(policy, elapsed_s, rand, shortest_interval_s(policy))
        wait_s = configured_s if planned_s is None else planned_s
        remaining_s = None if progress is None else progress.remaining_s
        if remaining_s is None or polls > spent + _SPARE_POLLS:
            return wait_s
        # An estimate may be wrong: it never waits much longer than without it.
        return min(2.0 * wait_s, _progressing(policy, remaining_s, rand), policy.poll.cap_s)

    def _planned(self, policy: OperationPolicy, elapsed_s: float, rand: Random, floor_s: float) -> float | None:
        """What the plan says, within floor and cap; a way to its next poll that is longer than the cap is divided."""
        target_s = None if self.plan is None else self.plan.after(elapsed_s)
        if self.plan is None or target_s is None:
            return None
        wait_s = target_s - elapsed_s
        cap_s = policy.poll.cap_s
        if wait_s > cap_s:
            return max(floor_s, wait_s / math.ceil(wait_s / cap_s))
        following_s = self.plan.after(target_s)
        gap_s = wait_s if following_s is None else min(wait_s, following_s - target_s)
        spread_s = policy.poll.jitter * gap_s * (rand.random() - 0.5)
        return min(max(cap_s, floor_s), max(floor_s, wait_s + spread_s))


def _progressing(policy: OperationPolicy, remaining_s: float, rand: Random) -> float:
    """Poll after a part of the remaining time, so that a better estimate follows while it still is of use."""
    floor_s = shortest_interval_s(policy)
    wait_s = remaining_s * _OF_REMAINING if remaining_s > 2 * floor_s else remaining_s
    return max(floor_s, wait_s * (1.0 - policy.poll.jitter / 2 * rand.random()))


def shortest_interval_s(policy: OperationPolicy) -> float:
    """The shortest interval between two polls: that of the configured schedule, with its jitter."""
    return policy.poll.base_s * (1.0 - policy.poll.jitter)


def configured_polls(policy: OperationPolicy, elapsed_s: float) -> int:
    """How many polls the configured schedule has spent so long after the submit."""
    poll = policy.poll
    mean = 1.0 - poll.jitter / 2
    left_s = elapsed_s - policy.first_delay_s * mean
    if left_s < 0.0:
        return 0
    base_s, cap_s = poll.base_s * mean, poll.cap_s * mean
    if poll.factor <= 1.0 or base_s >= cap_s:
        return 1 + int(left_s / min(base_s, cap_s))
    growing = math.ceil(math.log(cap_s / base_s) / math.log(poll.factor))
    until_cap_s = base_s * (poll.factor**growing - 1.0) / (poll.factor - 1.0)
    if left_s > until_cap_s:
        return 1 + growing + int((left_s - until_cap_s) / cap_s)
    return 1 + int(math.log1p(left_s * (poll.factor - 1.0) / base_s) / math.log(poll.factor))


def configured_times(policy: OperationPolicy) -> PollTimes:
    """The configured schedule without its randomness."""
    poll, mean = policy.poll, 1.0 - policy.poll.jitter / 2
    shortest_s = shortest_interval_s(policy)
    return PollTimes(policy.first_delay_s * mean, poll.base_s * mean, poll.factor, poll.cap_s * mean, shortest_s)


def learn(
    kind: str, sketch: DurationSketch, policy: OperationPolicy, before: LearnedSchedule | None = None
) -> LearnedSchedule:
    """The schedule for durations like those of the sketch; ``before`` is one for a similar sketch, which helps."""
    if sketch.count < LEAST_JOBS:
        return LearnedSchedule(kind, sketch)
    plan = plan_polls(sketch, configured_times(policy), before=before.plan if before else None)
    return LearnedSchedule(kind, sketch, plan)
