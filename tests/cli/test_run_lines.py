"""What ``run`` prints while its job goes on."""

import pytest

from tests.support.ended_job import JOB
from tidewaiter.cli.run import line_printer


def test_a_line_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A job also changes in ways that its line does not show, as when a download begins."""
    show = line_printer()
    for job in (JOB, JOB.but(version=6), JOB.but(reason="late")):
        show(job)
    assert capsys.readouterr().out == "job 7 is succeeded\njob 7 is succeeded (late)\n"
