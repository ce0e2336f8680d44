"""The metrics of the process itself, where ``/proc`` shows processes only."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from tidewaiter.metrics.process_metrics import SandboxedProcessCollector


def test_no_boot_time_in_proc(tmp_path: Path) -> None:
    """Every metric is there, with the start time that the library has from /proc/stat."""
    (tmp_path / "self").symlink_to("/proc/self")
    hidden, shown = CollectorRegistry(), CollectorRegistry()
    SandboxedProcessCollector(proc=str(tmp_path), registry=hidden)
    ProcessCollector(registry=shown)
    names = {family.name for family in shown.collect()}
    assert {family.name for family in hidden.collect()} == names
    start = "process_start_time_seconds"
    assert hidden.get_sample_value(start) == pytest.approx(shown.get_sample_value(start), abs=3)
