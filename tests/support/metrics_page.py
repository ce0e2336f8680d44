"""Reads a metrics page as Prometheus does."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DatabaseReading, ExportReading, ProcessReading, ScheduleReading

UP = ProcessReading(
    phase="serving",
    phases=("standby", "serving"),
    ready=True,
    clock_skew_s=0.0,
    lines_lost=0,
    database=DatabaseReading(
        {"queued": 2},
        {"shop": 1},
        {"shop": 3.5},
        1000,
        ExportReading(
            {("shop", "report"): 2},
            [ScheduleReading("shop", "nightly", "failed", 60.0)],
            {("shop", "report"): 30.0},
            {("shop", "report"): 90.0},
        ),
    ),
)


def scrape(metrics: Metrics, now: ProcessReading = UP) -> "Samples":
    """Every sample of these metrics."""
    body, _ = metrics.scrape(now).written("")
    return Samples(body.decode())


class Samples:
    """The samples of one exposition in Prometheus' text format."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of one series; ``None`` where there is none."""
        return self._values.get((name, frozenset(labels.items())))

    def labels(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The name and the labels of every sample."""
        for family in self.families:
            for sample in family.samples:
                yield sample.name, sample.labels
