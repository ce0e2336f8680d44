"""The context of a job survives the database."""

from tidewaiter.domain.job_context import NO_CONTEXT, JobContext, context_of


def test_a_context_as_text() -> None:
    """What is not set is not stored, and everything else comes back."""
    whole = JobContext(
        "ann", "nightly", 5.0, "march", {"dag": "x"}, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    )
    assert context_of(whole.as_text()) == whole
    assert JobContext("ann").as_text() == '{"requested_by": "ann"}'
    assert context_of(NO_CONTEXT.as_text()) == NO_CONTEXT
