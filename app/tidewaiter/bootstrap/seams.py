"""What a daemon gets from outside and a simulation replaces: time, chance, network, database and storage."""

from dataclasses import dataclass, field
from random import Random

from tidewaiter.clock import Clock
from tidewaiter.database.engine import Database
from tidewaiter.domain.change_feed import ChangeListener, ignore_change
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.storage.base import Storage
from tidewaiter.transport.wire import Wire


@dataclass(frozen=True, slots=True)
class Seams:
    """Time, chance, network, database and storage of a daemon.

    ``metrics`` outlive the daemon; ``tell`` is called with every change of a job. ``refresh_tokens`` is the database
    that has them, if it is another one.
    """

    clock: Clock
    rand: Random
    wire: Wire
    database: Database
    storage: Storage
    metrics: Metrics = field(default_factory=Metrics)
    tell: ChangeListener = ignore_change
    refresh_tokens: Database | None = None
