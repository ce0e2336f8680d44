"""When a remote job is expected to be ready, from what earlier ones took, in numbers and in words."""

from dataclasses import dataclass
from typing import Any, Final

from tidewaiter.domain.common_transitions import is_timed
from tidewaiter.domain.duration_sketch import DurationSketch
from tidewaiter.domain.formatting import clock_or_date, duration, rfc3339, rough
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.learned_schedule import LEAST_JOBS

LATE_SHARE: Final = 0.95
_LIKELY: Final = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What earlier remote jobs say about one that is polled.

    ``usual_s`` is what half of them did not exceed, from the submit to "ready". ``ready_at`` is when this one is
    expected, in epoch seconds, and in four of five cases it is not further from that than ``margin_s``; ``None`` if it
    takes longer than all before. ``is_late``: it takes longer than 95 % of them.
    """

    usual_s: float
    ready_at: float | None
    margin_s: float | None
    is_late: bool

    def sentence(self, now: float) -> str:
        """The same in words: ``usually ready after 4 min 10 s; expected at 04:31:00 ± 3 min``."""
        usual = f"usually ready after {duration(self.usual_s)}"
        if self.ready_at is None or self.margin_s is None:
            return f"{usual}; later than all jobs before it"
        late = "; later than most" if self.is_late else ""
        return f"{usual}{late}; expected at {clock_or_date(self.ready_at, now)} \u00b1 {rough(self.margin_s)}"

    def as_json(self) -> dict[str, Any]:
        """The same for programs, with the time as RFC 3339."""
        return {
            "usual_s": round(self.usual_s, 1),
            "ready_at": rfc3339(self.ready_at),
            "margin_s": None if self.margin_s is None else round(self.margin_s, 1),
            "late": self.is_late,
        }


def expectation_of(job: Job, sketch: DurationSketch, now: float) -> Expectation | None:
    """When the remote job of a job is expected to be ready; ``None`` if nothing is known, or it is not polled."""
    usual_s, longest_s = sketch.quantile_s(0.5), sketch.quantile_s(LATE_SHARE)
    if job.state is not State.POLLING or job.submitted_at is None or not is_timed(job):
        return None
    if usual_s is None or longest_s is None or sketch.count < LEAST_JOBS:
        return None
    elapsed_s = max(0.0, now - job.submitted_at)
    first_s, expected_s, last_s = (sketch.quantile_s(share, after_s=elapsed_s) for share in _LIKELY)
    is_late = elapsed_s > longest_s
    if first_s is None or expected_s is None or last_s is None:
        return Expectation(usual_s, None, None, is_late)
    return Expectation(usual_s, job.submitted_at + expected_s, (last_s - first_s) / 2, is_late)
