"""The log event of a batch that has ended: by a commit of the daemon, or by a person's decision."""

from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.job import TERMINAL
from tidewaiter.log import EventLog


def log_batch(log: EventLog, ended: EndedBatch) -> None:
    """Log that the last job of a batch has ended, with its counts."""
    one, states = ended.batch, ended.batch.states
    counts = {state.value: states.get(state, 0) for state in sorted(TERMINAL)}
    log.emit("batch.ended", batch=one.name, jobs=one.jobs, **counts, total_s=round(ended.ended_at - one.created_at, 3))
