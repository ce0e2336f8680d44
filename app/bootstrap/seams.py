"""What a daemon gets from outside and a simulation replaces: time, chance, network, database and storage."""

from dataclasses import dataclass, field
from random import Random

from app.clock import Clock
from app.domain.change import Tell, tell_nobody
from app.metrics.registry import Metrics
from app.storage.base import Storage
from app.store.engine import Database
from app.transport.wire import Wire


@dataclass(frozen=True, slots=True)
class Seams:
    """Time, chance, network, database and storage of a daemon.

    ``metrics`` outlive the daemon; ``tell`` is called with every change of a job.
    """

    clock: Clock
    rand: Random
    wire: Wire
    database: Database
    storage: Storage
    metrics: Metrics = field(default_factory=Metrics)
    tell: Tell = tell_nobody
